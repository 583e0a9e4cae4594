"""Models of ours for SGLang, which it looks for here by SGLANG_EXTERNAL_MODEL_PACKAGE."""
