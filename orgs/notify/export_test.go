package notify

// For tests.
var (
	Line  = line
	Prose = prose
	Wait  = wait
	Waits = waits
)
