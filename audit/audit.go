// Package audit records who did what, in a log that can prove itself.
//
// Every change carries an [Actor] in its context ([WithActor]); without one nothing can be changed. The change
// describes itself as a [Change], which [Log.Append] turns into an [Event] inside the caller's own unit: the record,
// its event and the revision of its organization are committed together or not at all, so there is no change without
// its event and no event without its change. What stands alone, such as that something was read or refused, is written
// by [Log.Record], and what the data path decides, which must wait for nothing, by [Log.Decided]. [Log.List] reads an
// organization's events back, newest first; [Log.Counts] says how many there were, [Log.Gaps] what is missing.
//
// # The tree
//
// The events of an organization are the leaves of a Merkle tree (RFC 6962). A [Checkpoint] is a signed statement of its
// root: whoever keeps one elsewhere can find out later whether any event up to then was changed, left out or put in.
// [Log.Prove] shows that an event is in the log, [Log.ProveConsistency] that one checkpoint continues another,
// [Log.Export] writes what [Reader] verifies without a database, as does the command examples/auditverify. Proofs are
// those of golang.org/x/mod/sumdb/tlog, checkpoints those of C2SP tlog-checkpoint.
//
// Without a checkpoint that is kept elsewhere the log only detects tampering by who has no key: who can write to the
// database and sign can write all of it anew.
//
// # Order
//
// The event goes with the commit of its unit into a list of those that wait: one row, and on PostgreSQL no round trip of
// its own. Nobody waits for a place in the tree: one process at a time puts in order what is visible, many events
// together, within about a second, in the background of whichever has written; however many these are, together they do so
// as often as one alone. The database numbers what
// waits at the commit, so that of two units of which one waited for the other's lock the later one has the later place.
// Who reads puts in order first what was committed until then: it is never missing. The time of an event is when its unit
// began, but always later than that of the event before it: it is unique in its organization, and lists, bounds and
// cursors go by it.
//
// # How it is kept
//
// An event is a short row: words for what comes back, keys of 48 bits for what it is found by, and one packed column
// with ids as bytes and what is personal squeezed. What is hashed is the event as it was, never how it is kept. Of the
// tree only the hashes of blocks of 16 events are kept; those below are made of the events again.
//
// What is personal is hashed with a salt, so that nobody finds out by guessing what was erased. The salts of 256 events
// are the leaves of a tree of seeds, of which an export says a few nodes instead of each salt; of an event that is erased
// no node is kept from which its salt follows. Those of one secret for a whole log would tell of all that are erased too,
// once that secret is in a file.
//
// # What is logged
//
// A [Config] names the types of events that an organization wants, for how long, and where they are sent. What it does
// not name is not written, save what no organization can do without ([Mandatory]): so whoever may change the
// configuration hides neither that nor who was given rights. The configuration is read where events get their place,
// and its change takes force behind its own event. How much of what is decided is written it says too ([Decisions]).
//
// # What goes
//
// [KeptFrom] is up to when events may go: by the configuration, its legal hold, and each [Hold] of who needs them still.
// [Log.Prune] ends the log at a time, says so in an event, and keeps of what goes the right edge of its tree, so that
// all proofs of the rest stay as they are. [Log.Erase] takes out of events what may name people; a leaf is made of the
// hash of that, so it stays too. Otherwise nothing in this package deletes an event, or
// changes what it says.
//
// # At rest
//
// With a key of the host ([Options].Seal) what may name people is sealed before it is stored, of all organizations, and
// who an actor was called is found by marks that only the key makes. The hash that a leaf is made of stands beside it: so
// who has no key, or has lost it, can still continue the tree and sign for it, and reads the rest of an event. Proofs and
// exports hold what is personal in clear, and need the key. [Log.Reseal] brings what is older under a new one.
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
	SCIM     ActorType = "scim"     // the identity provider of an organization, which provisions its members
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
	OrgID      string // of an identity provider: the one organization in which it acts

	// Session is true when the actor came by an interactive sign-in, which an organization may
	// bind to a second factor and a timeout; tokens and keys are not sessions.
	Session bool
	// SessionID is the session in which the actor signed in, "" for one that the host keeps by itself.
	SessionID string
	// TokenID is the personal token that the actor came by, "" for another credential.
	TokenID string
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

// Source is where a request comes from, before it is known who makes it.
type Source struct {
	IP        netip.Addr
	UserAgent string
	RequestID string
}

type sourceKey struct{}

// WithSource returns a context of a request that comes from there: a credential that is refused is logged with it.
func WithSource(ctx context.Context, s Source) context.Context {
	return context.WithValue(ctx, sourceKey{}, s)
}

// From is the actor as it comes from the source of the context, if that is known.
func (a Actor) From(ctx context.Context) Actor {
	if s, ok := ctx.Value(sourceKey{}).(Source); ok {
		a.IP, a.UserAgent, a.RequestID = s.IP, s.UserAgent, s.RequestID
	}
	return a
}

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
