// Package audit records who did what.
//
// Every change carries an [Actor] in its context ([WithActor]); without one nothing can be
// changed. The change describes itself as a [Change], which [Append] turns into an [Event] inside
// the caller's own transaction: the record, its event and the revision of its organization are
// committed together or not at all, so there is no change without its event and no event without
// its change. [List] reads an organization's events back, newest first.
//
// Events are facts: nothing in this package updates or deletes one.
//
// # Secrets
//
// What a record hides from JSON (`json:"-"`) is in no event. Records keep their secrets, even as
// hashes, in such fields.
package audit

import (
	"context"
	"net/netip"
	"time"
)

// ActorType says what kind of party acts.
type ActorType string

// The actor types.
const (
	User     ActorType = "user"     // a person, by session or personal token
	APIKey   ActorType = "api_key"  // a key, perhaps bound to a person
	Platform ActorType = "platform" // the operator of the host, above all organizations
	Internal ActorType = "system"   // the library or host itself; see [System]
)

// Actor is the party on whose authority something happens. It is made by whoever authenticated
// the request and is trusted from then on.
type Actor struct {
	Type       ActorType
	ID         string // usr_… or key_…; "admin" for the platform, the reason for the system
	Label      string // what a person would recognize: an e-mail address or a name
	OnBehalfOf string // for a key: the user bound to it, if any

	// Session is true when the actor came by an interactive sign-in, which an organization may
	// bind to a second factor and a timeout; tokens and keys are not sessions.
	Session bool
	// MFAAt is when the person last proved a second factor; nil when there was no such proof.
	MFAAt *time.Time

	IP        netip.Addr // the zero Addr when unknown
	UserAgent string
	RequestID string
}

// String is the form used in filters, such as "user:usr_1".
func (a Actor) String() string { return string(a.Type) + ":" + a.ID }

// Person is the user who acts or is bound to the acting key, "" when there is none.
func (a Actor) Person() string {
	switch a.Type {
	case User:
		return a.ID
	case APIKey:
		return a.OnBehalfOf
	}
	return ""
}

// Sovereign says whether the actor stands above the organizations: the platform or the system.
func (a Actor) Sovereign() bool { return a.Type == Platform || a.Type == Internal }

// System is the actor for what the library or its host does by itself. The reason is kept with
// each event.
func System(reason string) Actor { return Actor{Type: Internal, ID: reason, Label: reason} }

// PlatformAdmin is the operator of the host.
func PlatformAdmin() Actor { return Actor{Type: Platform, ID: "admin", Label: "platform admin"} }

type actorKey struct{}

// WithActor returns a context in which a acts.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the actor of the context.
func ActorFrom(ctx context.Context) (Actor, bool) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	return a, ok
}
