# The operator's image. Build from the repository's root: docker build -t kubenas-operator .
# BASE is any image with Python 3.11 or newer as python3, with its venv module, and the usual certificates. To pin it, name it
# by digest: --build-arg BASE=docker.io/library/python:3.12-slim@sha256:…
ARG BASE=docker.io/library/python:3.12-slim

# pip stays in this stage; of what remains, packages' own tests are a tenth.
FROM ${BASE} AS packages
COPY deploy/requirements.txt /tmp/requirements.txt
RUN python3 -m venv /tmp/pip \
 && python3 -m venv --without-pip /opt/venv \
 && /tmp/pip/bin/pip --python /opt/venv/bin/python install --no-cache-dir --disable-pip-version-check --no-compile \
      --require-hashes -r /tmp/requirements.txt \
 && find /opt/venv/lib -type d -name tests -prune -exec rm -r {} + \
 && /opt/venv/bin/python -m compileall -q /opt/venv

FROM ${BASE}
COPY --from=packages /opt/venv /opt/venv
COPY operator/kubenas /app/kubenas
# What `kubenas init` copies.
COPY examples/*.yaml /app/kubenas/examples/
# Compiled here, since the root file system of the operator is read-only.
RUN python3 -m compileall -q /app \
 && printf '#!/opt/venv/bin/python\nfrom kubenas.cli.main import app\napp()\n' > /opt/venv/bin/kubenas \
 && chmod 755 /opt/venv/bin/kubenas

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["kubenas"]
CMD ["operator"]
