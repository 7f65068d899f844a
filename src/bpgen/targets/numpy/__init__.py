"""The numpy target: statements as calls of numpy that write into memory that is there.

`target` spells each kind of statement, `graph` and `ufuncs` a formula as a chain of ufuncs,
`contract` a sum of products as one call; `values` brings arrays to common axes by views, `scalar`
spells numbers, `scratch` keeps the registers.
"""
