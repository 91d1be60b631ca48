"""Making model versions from those there are: fine-tuned, adapted, aligned.

Belongs here: what is learnt from which judgements or pairs, and whether it is better. Does not
belong here: running a model (`models`), releasing one (`releases`).
"""
