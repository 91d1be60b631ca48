"""Does a model version still answer as it did when it was registered?"""
