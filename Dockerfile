# The operator's image. Build from the repository's root: docker build -t kubenas-operator .
# BASE is any image with Python 3.11 or newer as python3, with its venv module, and the usual certificates.
ARG BASE=docker.io/library/python:3.12-slim
FROM ${BASE}

COPY deploy/requirements.txt /tmp/requirements.txt
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/requirements.txt \
 && rm /tmp/requirements.txt

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
