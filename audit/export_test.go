package audit

// ManyRanges sets from how many ranges on it is looked whether most events are asked for, and returns what it was.
func ManyRanges(n int) int {
	was := manyRanges
	manyRanges = n
	return was
}

// MaxPairs sets up to how many pairs of an actor and a type are looked for each, and returns what it was.
func MaxPairs(n int) int {
	was := maxPairs
	maxPairs = n
	return was
}

// Pending are the events that wait to be put in order.
var Pending = pending
