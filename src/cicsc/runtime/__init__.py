"""The runtime of an application on a store: commands and events written as the tenant's active bundle says.

`Runtime` drives; what a command may do is compiled by `program`, what it is given is checked by
`inputs`. Knows stores by their protocol only, and nothing of migrations or of the command line.
"""

from cicsc.runtime.result import CommandResult
from cicsc.runtime.runtime import Runtime

__all__ = ["CommandResult", "Runtime"]
