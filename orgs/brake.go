package orgs

import (
	"fmt"
	"time"

	"github.com/orgkit/orgkit/store"
)

// Brake counts guesses at one thing from one side; its id is the hash of both. Package orgs/signin writes it.
type Brake struct {
	store.Meta
	Tries    int       `json:"tries"`
	FreeAt   time.Time `json:"free_at"`   // no try before
	ForgetAt time.Time `json:"forget_at"` // when it is as if there had been none
}

// Brakes are those that are not forgotten yet.
var Brakes = store.Define[Brake]("signin_brakes", "brk", store.Index("forget_at"))

// TooManyTries says that whoever asks has guessed too often and has to wait. It says nothing of whether the guess was
// right, nor whether there is what was guessed at.
type TooManyTries struct{ RetryAfter time.Duration }

func (e *TooManyTries) Error() string {
	return fmt.Sprintf("too many tries; try again in %d seconds", int64((e.RetryAfter+time.Second-1)/time.Second))
}
