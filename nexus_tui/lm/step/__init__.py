"""One more token of each of several texts, compiled for the CPU: what sampling does for every token.

A token of one text is matrices times vectors: the time is that of reading the weights once from memory. Texts
that are read together share that reading. Every text's numbers are computed in the same order however many
texts and threads there are: a sum over inputs begins at the first and adds one after the other, with PANEL
outputs side by side in vectors. So a text beside others is, bit for bit, what it is alone.

Everything is flat: `weights` has those of all layers in the order in which a token meets them (`packed`), and
functions return where the next begins. Rows of work arrays, one a text, are padded with zeros to whole
panels. The mathematics is that of `Mamba`, `Attention`, `FeedForward` and `RMSNorm`, which the tests compare.
"""
