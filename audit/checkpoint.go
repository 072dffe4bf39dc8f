package audit

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/orgkit/orgkit/store"
)

// checkpoint is a signed statement of what the log of an organization was.
type checkpoint struct {
	OrgID string `store:"word"`
	Size  int64
	At    time.Time // when it was signed
	Edge  []byte    // the right edge of the tree of that size
	Note  string
}

var checkpoints = store.DefineLog[checkpoint]("audit_checkpoints", []string{"org_id", "size"})

// ErrNoSigner says that this installation signs no checkpoints; see [Options].
var ErrNoSigner error = &store.ConflictError{Code: "no_signing_key", Message: "no key signs checkpoints of the audit log here"}

// NewKey makes a key for checkpoints: the signer, which is a secret, for [note.NewSigner], and the verifier, which
// is public, for [note.NewVerifier]. The name says whose key it is, such as "gateway.example"; it has no spaces and
// no plus signs.
func NewKey(name string) (signer, verifier string, err error) {
	return note.GenerateKey(rand.Reader, name)
}

// PublicKey returns the verifier that belongs to a signer, both as [NewKey] makes them. No error repeats the signer.
func PublicKey(signer string) (verifier string, err error) {
	errKey := errors.New("audit: that is no signing key")
	parts := strings.Split(signer, "+")
	if len(parts) < 5 || parts[0] != "PRIVATE" || parts[1] != "KEY" {
		return "", errKey
	}
	if _, err := note.NewSigner(signer); err != nil {
		return "", errKey
	}
	seed, err := base64.StdEncoding.DecodeString(strings.Join(parts[4:], "+"))
	if err != nil || len(seed) != 1+ed25519.SeedSize || seed[0] != 1 { // 1 is Ed25519
		return "", errKey
	}
	return note.NewEd25519VerifierKey(parts[2], ed25519.NewKeyFromSeed(seed[1:]).Public().(ed25519.PublicKey))
}

// Checkpoint is a statement of what the log of an organization holds: the first Size events, by the root of their
// tree. Its text is a signed note (C2SP tlog-checkpoint) with the time as an extension line.
type Checkpoint struct {
	Origin string    // the log: that of [Options], a slash and the id of the organization
	Size   int64     // of the tree, in events
	Root   tlog.Hash // RFC 6962, section 2.1
	Time   time.Time // when it was signed
	Note   string    // the signed text
}

// origin is the first line of an organization's checkpoints.
func (l *Log) origin(orgID string) string {
	if orgID == "" {
		orgID = "platform"
	}
	return l.opt.Origin + "/" + orgID
}

func (c *Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]), c.Time.UTC().Format(time.RFC3339))
}

// ReadCheckpoint reads a signed checkpoint. One that none of the verifiers vouches for is an error.
func ReadCheckpoint(text string, verifiers note.Verifiers) (c Checkpoint, err error) {
	n, err := note.Open([]byte(text), verifiers)
	if err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	c.Note = text
	lines := strings.Split(n.Text, "\n")
	if len(lines) < 5 || lines[0] == "" {
		return c, errors.New("checkpoint: lines are missing")
	}
	c.Origin = lines[0]
	c.Size, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || c.Size <= 0 || strconv.FormatInt(c.Size, 10) != lines[1] {
		return c, errors.New("checkpoint: the second line is no size")
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return c, errors.New("checkpoint: the third line is no hash")
	}
	c.Root = tlog.Hash(root)
	if c.Time, err = time.Parse(time.RFC3339, lines[3]); err != nil {
		return c, errors.New("checkpoint: the fourth line is no time")
	}
	return c, nil
}

// signed signs the tree of an edge as it is now.
func (l *Log) signed(orgID string, e *edge, now time.Time) (checkpoint, error) {
	c := Checkpoint{Origin: l.origin(orgID), Size: e.size, Root: e.root(), Time: now}
	text, err := note.Sign(&note.Note{Text: c.text()}, l.opt.Signers...)
	return checkpoint{orgID, e.size, now, e.encode(), string(text)}, err
}

// soil notes organizations that no checkpoint covers.
func (l *Log) soil(orgIDs []string) {
	l.mu.Lock()
	for _, id := range orgIDs {
		l.dirty[id] = true
	}
	l.mu.Unlock()
	l.wake()
}

// maxSigned is how many checkpoints are kept in one unit.
const maxSigned = 200

// sign signs a checkpoint of each organization that was noted.
func (l *Log) sign(ctx context.Context) error {
	l.mu.Lock()
	orgIDs := slices.Sorted(maps.Keys(l.dirty))
	clear(l.dirty)
	l.mu.Unlock()
	if len(l.opt.Signers) == 0 {
		return nil
	}
	for some := range slices.Chunk(orgIDs, maxSigned) {
		if _, err := l.signSome(ctx, some); err != nil {
			l.mu.Lock()
			for _, id := range orgIDs {
				l.dirty[id] = true
			}
			l.mu.Unlock()
			return err
		}
	}
	return nil
}

// signSome keeps checkpoints of the trees as they are now, and returns them. Where another process has signed one of the
// same size, that is kept; both are good.
func (l *Log) signSome(ctx context.Context, orgIDs []string) (made []checkpoint, err error) {
	var heads []edge
	err = l.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
		heads, err = l.heads(ctx, tx, orgIDs)
		return err
	})
	if err != nil {
		return nil, err
	}
	if made, err = l.signedAll(orgIDs, heads); err != nil {
		return nil, err
	}
	return made, l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) error {
		_, err := checkpoints.AppendMany(ctx, tx, made)
		return err
	})
}

// signedAll signs the trees that have leaves.
func (l *Log) signedAll(orgIDs []string, heads []edge) (made []checkpoint, err error) {
	for i, id := range orgIDs {
		if heads[i].size == 0 {
			continue
		}
		c, err := l.signed(id, &heads[i], l.store.Now())
		if err != nil {
			return nil, err
		}
		made = append(made, c)
	}
	return made, nil
}

// Checkpoint returns the newest checkpoint of an organization. Events that none covers are signed for first, so
// that it holds everything that was committed before the call. It is not called inside of a unit. Without a key
// it is [ErrNoSigner], of a log without events store.ErrNotFound.
func (l *Log) Checkpoint(ctx context.Context, orgID string) (Checkpoint, error) {
	if len(l.opt.Signers) == 0 {
		return Checkpoint{}, ErrNoSigner
	}
	if err := l.catchUp(ctx); err != nil {
		return Checkpoint{}, err
	}
	var newest checkpoint
	var size int64
	err := l.store.View(ctx, func(ctx context.Context, tx *store.Tx) error {
		head, err := l.head(ctx, tx, orgID)
		if err != nil {
			return err
		}
		size = head.size
		newest, err = lastCheckpoint(ctx, tx, orgID)
		return err
	})
	switch {
	case err != nil:
		return Checkpoint{}, err
	case size == 0:
		return Checkpoint{}, store.ErrNotFound
	}
	if newest.Size >= size {
		if c, ok := newest.public(l.origin(orgID)); ok {
			return c, nil
		}
	}
	made, err := l.signSome(ctx, []string{orgID})
	if err != nil {
		return Checkpoint{}, err
	}
	c, _ := made[0].public(l.origin(orgID))
	return c, nil
}

func lastCheckpoint(ctx context.Context, tx *store.Tx, orgID string) (checkpoint, error) {
	return newestOf(ctx, tx, checkpoints, orgID)
}

// public reads what was kept; not ok where it is of another origin, or damaged. Signatures are for those who do not
// trust the database.
func (c *checkpoint) public(origin string) (Checkpoint, bool) {
	e, ok := edgeOf(c.Size, c.Edge)
	return Checkpoint{Origin: origin, Size: c.Size, Root: e.root(), Time: c.At, Note: c.Note}, ok && strings.HasPrefix(c.Note, origin+"\n")
}

// Verifiers returns the verifiers of keys as [NewKey] makes them, for [ReadCheckpoint].
func Verifiers(keys ...string) (note.Verifiers, error) {
	list := make([]note.Verifier, len(keys))
	for i, k := range keys {
		v, err := note.NewVerifier(k)
		if err != nil {
			return nil, fmt.Errorf("verifier key %d: %w", i, err)
		}
		list[i] = v
	}
	return note.VerifierList(list...), nil
}
