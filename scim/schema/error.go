package schema

import "fmt"

// ErrorType is the detail of an error that clients read (RFC 7644 table 9, RFC 9865 §2.1).
type ErrorType string

// The types of errors.
const (
	InvalidFilter ErrorType = "invalidFilter"
	TooMany       ErrorType = "tooMany"
	Uniqueness    ErrorType = "uniqueness"
	NotMutable    ErrorType = "mutability"
	InvalidSyntax ErrorType = "invalidSyntax"
	InvalidPath   ErrorType = "invalidPath"
	NoTarget      ErrorType = "noTarget"
	InvalidValue  ErrorType = "invalidValue"
	Sensitive     ErrorType = "sensitive"
	InvalidCursor ErrorType = "invalidCursor"
	ExpiredCursor ErrorType = "expiredCursor"
	InvalidCount  ErrorType = "invalidCount"
)

// Error says what is wrong with a request. Detail names attributes and repeats no value.
type Error struct {
	Type   ErrorType
	Detail string
}

func (e *Error) Error() string { return e.Detail }

// Errorf returns an *[Error].
func Errorf(t ErrorType, format string, args ...any) error {
	return &Error{t, fmt.Sprintf(format, args...)}
}
