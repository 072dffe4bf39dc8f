package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/seal"
)

// Where the host gives a key ([Options.Seal]) what is personal in an event is sealed with it before it is stored, from its
// first moment on. The salt of such a row has behind it the hash that the leaf is made of: so the tree grows, is signed
// for and proved by who has no key, and a key that is lost takes what is personal with it and nothing else.

// sealedBytes is the length of the salt of a sealed row, with that hash.
const sealedBytes = saltBytes + sha256.Size

func (r *row) sealed() bool { return len(r.Salt) == sealedBytes }

// sealPlace is what something of a log is sealed or marked for.
func sealPlace(orgID, record, field string) seal.Place {
	if orgID == "" {
		orgID = "platform"
	}
	return seal.Place{OrgID: orgID, Record: record, Field: field}
}

func (r *row) sealPlace() seal.Place { return sealPlace(r.OrgID, r.ID, "audit.event") }

// seal seals what is personal, where there is a key.
func (r *row) seal(s *seal.Sealer) error {
	if !s.Ready() {
		return nil
	}
	switch len(r.Salt) {
	case 0:
		r.drawSalt()
	case saltBytes:
	default:
		return nil
	}
	box, err := s.SealPayload(squeeze(nil, r.Personal), r.sealPlace())
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	r.Salt, r.Personal = append(bytes.Clone(r.Salt), covered(r.Salt, r.Personal)...), box
	return nil
}

// open opens what was sealed. An error is one of package seal, or that it is damaged.
func (r *row) open(s *seal.Sealer) error {
	if !r.sealed() {
		return nil
	}
	b, err := s.OpenPayload(r.Personal, r.sealPlace())
	if err != nil {
		return fmt.Errorf("audit: what is personal in event %d: %w", r.Seq, err)
	}
	d := decoder{rest: b}
	personal := d.squeezed(nil)
	salt, cover := r.Salt[:saltBytes:saltBytes], r.Salt[saltBytes:]
	if d.end() != nil || !bytes.Equal(covered(salt, personal), cover) {
		return errEncoding
	}
	r.Salt, r.Personal = salt, personal
	return nil
}

// eventBy is the event of the row, which it leaves as it is.
func (r *row) eventBy(s *seal.Sealer) (Event, error) {
	opened := *r
	if err := opened.open(s); err != nil {
		return r.public(), err
	}
	return opened.event()
}

// nameKeys are by what a name is looked up, the first of which is written. With a key those of actors are its marks, and
// behind them the hash, for what was written without one.
func (l *Log) nameKeys(orgID, kind, name string) (keys []int64, err error) {
	if kind == actorName && l.Seals() {
		marks, err := l.opt.Seal.Marks(nameText(kind, name), sealPlace(orgID, "", "audit.label"))
		if err != nil {
			return nil, err
		}
		for _, m := range marks {
			keys = append(keys, int64(m))
		}
	}
	return append(keys, nameKey(kind, name)), nil
}

// Seals says whether what is personal is sealed.
func (l *Log) Seals() bool { return l.opt.Seal.Ready() }

// Reseal seals what is personal in the log of an organization by the current key, where it was by another one or not at
// all, and says in how many events. It goes on where it was ended before. What cannot be opened is an error, and stays.
func (l *Log) Reseal(ctx context.Context, orgID string) (resealed int, err error) {
	if !l.Seals() {
		return 0, seal.ErrNoKey
	}
	if err := l.catchUp(ctx); err != nil {
		return 0, err
	}
	r := store.Range{Equal: []any{orgID}, Limit: eraseBatch}
	for {
		var rows, stale []kept
		err := l.store.View(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
			rows, err = events.Scan(ctx, tx, r)
			return err
		})
		if err != nil {
			return resealed, err
		}
		for _, k := range rows {
			if of, err := k.row(); err != nil {
				return resealed, err
			} else if len(of.Salt) == saltBytes || of.sealed() && l.opt.Seal.StalePayload(of.Personal) {
				stale = append(stale, k)
			}
		}
		if len(stale) > 0 {
			n := 0
			err := l.store.Update(ctx, func(ctx context.Context, tx *store.Tx) (err error) {
				n, err = rewrite(ctx, tx, stale, func(r *row) (bool, error) {
					if err := r.open(l.opt.Seal); err != nil || len(r.Salt) != saltBytes {
						return false, err
					}
					return true, r.seal(l.opt.Seal)
				})
				return err
			})
			if err != nil {
				return resealed, err
			}
			resealed += n
		}
		if len(rows) < eraseBatch {
			return resealed, nil
		}
		r.After = events.Position(r, &rows[len(rows)-1])
	}
}
