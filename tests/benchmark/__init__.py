"""How fast, and at what cost, beside the senders that people run: ``python -m tests.benchmark``.

Absolute times say more of the machine than of the sender, so every figure is a ratio to dcmsend, measured in the
same run and in the same minute: the senders take turns (A B C A B C), and each round gives one ratio.
"""
