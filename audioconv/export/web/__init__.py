"""A model as a web page: a folder for any web server, whose scripts compute what `audioconv.streaming` does.

`folder` puts it together, `frames` and `settings` say to the scripts in `static` what they need of a model, and
`runtime` knows ONNX Runtime Web.
"""
