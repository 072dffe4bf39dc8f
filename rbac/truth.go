package rbac

// Truth is the value of a condition: what cannot be judged is neither true nor false.
type Truth int

// The truth values.
const (
	False Truth = iota
	Unknown
	True
)

// and is three-valued: one false makes it false, else one unknown makes it unknown.
func (t Truth) and(u Truth) Truth { return min(t, u) }
