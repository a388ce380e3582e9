"""A trainer of one's own: scikit-learn's perceptron on its digits, with nothing but KubeNAS' trial contract."""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from kubenas_trial.contract import Trial

with Trial.from_environment() as trial:
    images, labels = load_digits(return_X_y=True)
    # One split for all trials, so that they are compared on the same images.
    train_x, valid_x, train_y, valid_y = train_test_split(images / 16, labels, stratify=labels, random_state=0)
    for candidate in trial.candidates:
        architecture = candidate.architecture
        model = MLPClassifier(
            hidden_layer_sizes=[architecture["units"]] * architecture["layers"],
            activation=architecture["activation"],
            learning_rate_init=architecture["learningRate"],
            random_state=trial.seed,
        )
        for epoch in range(1, candidate.epochs + 1):
            model.partial_fit(train_x, train_y, classes=range(10))
            trial.report(candidate, step=epoch, accuracy=model.score(valid_x, valid_y), loss=model.loss_)
