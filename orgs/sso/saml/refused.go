package saml

import "errors"

// ErrRefused is what every [Refused] unwraps to.
var ErrRefused = errors.New("saml: the response is refused")

// Refused says why a response signs nobody in. Code is stable and meant for logs and for administrators; the
// person at the browser learns nothing of it. Neither field repeats what the response held.
type Refused struct {
	Code    string // of the list in the package's doc, such as "audience"
	Message string
}

func (e *Refused) Error() string { return "saml: " + e.Code + ": " + e.Message }

// Unwrap makes it an [ErrRefused].
func (e *Refused) Unwrap() error { return ErrRefused }

func refuse(code, message string) error { return &Refused{Code: code, Message: message} }
