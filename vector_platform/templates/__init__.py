"""New deployments: the files that `vector-platform init` and the component's scaffolder write.

Belongs here: the templates (`files/`), and writing one of them into a folder. A template holds
`sources.yaml`, which goes into the `platform.yaml` that all of them share, and sample data.

Does not belong here: a deployment's settings (`settings/`), or running one.
"""
