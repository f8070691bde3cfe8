"""dspy: signatures and embeddings."""

import dspy
from checks import Checks, equal, raised, true
from dspy.utils.exceptions import LMUnsupportedModelError

with Checks("dspy") as checks:

    def llm(model: str) -> dspy.LM:
        return dspy.LM(f"openai/{model}", api_base=checks.v1, api_key=checks.key, cache=False, num_retries=0)

    def predict(model: str) -> None:
        with dspy.context(lm=llm(model)):
            equal(dspy.Predict("question -> answer")(question="Which city?").answer, "Oslo")

    def embeddings(model: str) -> None:
        made = dspy.Embedder(f"openai/{model}", api_base=checks.v1, api_key=checks.key, caching=False)
        equal([float(value) for value in made(["a", "b"])[1][:3]], [0.5, -1.5, 3.0])

    def no_model(model: str) -> None:
        error = raised(LMUnsupportedModelError, lambda: llm("nothing")("Hello"))
        true("does not exist" in str(error))

    checks.each("predict", predict)
    checks.each("embeddings", embeddings, ("embed-oa", "embed-ge"))
    checks.once("404", no_model)
