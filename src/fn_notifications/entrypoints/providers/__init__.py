"""One module per provider: how settings become its senders and its webhooks' doors. Loaded only when named.

Each has `sender(context, channel) -> Sender` and `doors(context) -> Mapping[path, Read]`, and, if what became of a
message can be asked there, `lookup(context, channel) -> Lookup | None`.
"""
