"""The same job by other people's queues, each as its documentation has it: read the row, one call, write the outcome.

They run in an environment of their own (requirements.txt). Every module is both ends: `prepare` makes what the peer
needs and enqueues every delivery that is stored, `work` runs a worker until it is stopped. DATABASE, PROVIDER, MESSAGE
and REDIS in the environment say where things are.
"""
