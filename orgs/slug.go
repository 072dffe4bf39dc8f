package orgs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/orgkit/orgkit/store"
)

// orgSlug says which organization a slug leads to. An organization has one that is current; those that it
// had before still lead to it, and belong to nobody else, until their time is over.
type orgSlug struct {
	store.Meta
	Slug  string
	OrgID string
	Until *time.Time // nil: current
}

var orgSlugs = store.Define[orgSlug]("org_slugs", "slug",
	store.Unique("slug"), store.Index("org_id"))

const (
	// formerSlug is how long a slug that was given up leads to its organization.
	formerSlug = 90 * 24 * time.Hour
	// maxFormer is how many slugs an organization can hold beside its own.
	maxFormer = 20
	// Restorable is how long a deleted organization can be restored, and keeps its slug.
	Restorable = 30 * 24 * time.Hour
)

// reserved slugs are words of paths that a host mounts.
var reserved = []string{"me", "new", "admin", "api", "v1", "v2", "scim", "sso", "orgs", "org",
	"organization", "organizations", "teams", "users", "keys", "login", "logout", "health", "healthz",
	"readyz", "metrics", "static", "ui", "www"}

// checkOrgSlug returns a slug in the form in which those of organizations are kept: with - only (F318).
func checkOrgSlug(slug string) (string, error) {
	slug = strings.ToLower(slug)
	if err := store.CheckSlug("slug", slug); err != nil {
		return "", err
	}
	slug = store.SlugKey(slug)
	if slices.Contains(reserved, slug) {
		return "", store.Invalid("slug", "reserved", "is a reserved word")
	}
	return slug, nil
}

var errSlugTaken = &store.ConflictError{Code: "slug_taken", Message: "an organization has this slug, or had it not long ago"}

// claimSlug makes the slug the organization's current one. The unique set decides between two at once.
func claimSlug(ctx context.Context, tx *store.Tx, orgID, slug string) error {
	if o, err := organizations.Find(ctx, tx, store.Eq("alias_id", slug)); err == nil && o.ID != orgID {
		return errSlugTaken // one name leads to one organization
	} else if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	had, err := orgSlugs.Find(ctx, tx, store.Eq("slug", slug))
	if errors.Is(err, store.ErrNotFound) {
		fresh, err := orgSlugs.InsertNew(ctx, tx, &orgSlug{Slug: slug, OrgID: orgID})
		if err == nil && !fresh {
			return errSlugTaken
		}
		return err
	} else if err != nil {
		return err
	}
	if had.OrgID != orgID {
		free, err := had.free(ctx, tx)
		if err != nil {
			return err
		}
		if !free {
			return errSlugTaken
		}
	}
	had.OrgID, had.Until = orgID, nil
	err = orgSlugs.Update(ctx, tx, &had)
	if errors.Is(err, store.ErrConflict) { // somebody took it over at this moment
		return errSlugTaken
	}
	return err
}

// free says whether anybody may take the slug over.
func (s orgSlug) free(ctx context.Context, tx *store.Tx) (bool, error) {
	if s.Until != nil {
		return !tx.Now().Before(*s.Until), nil
	}
	// A slug is current as long as its organization, or one above it, can still be restored.
	o, err := organizations.Get(ctx, tx, s.OrgID)
	for err == nil {
		if o.DeletedAt != nil && !tx.Now().Before(o.DeletedAt.Add(Restorable)) {
			return true, nil
		}
		if o.ParentID == "" {
			return false, nil
		}
		o, err = organizations.Get(ctx, tx, o.ParentID)
	}
	return false, err
}

// leaveSlug lets the organization's current slug lead to it for some time more.
func leaveSlug(ctx context.Context, tx *store.Tx, o Organization, lasts time.Duration) error {
	s, err := orgSlugs.Find(ctx, tx, store.Eq("slug", o.Slug))
	if err != nil {
		return err
	}
	until := tx.Now().Add(lasts)
	s.Until = &until
	return orgSlugs.Update(ctx, tx, &s)
}

// changeSlug gives the organization another slug.
func changeSlug(ctx context.Context, tx *store.Tx, o Organization, slug string) error {
	held, err := orgSlugs.Count(ctx, tx, store.Eq("org_id", o.ID))
	if err != nil {
		return err
	}
	if held > maxFormer {
		if held, err = dropFormer(ctx, tx, o.ID); err != nil {
			return err
		}
		if held > maxFormer {
			return &store.ConflictError{Code: "conflict", Message: fmt.Sprintf("the slug was changed %d times within 90 days", maxFormer)}
		}
	}
	if err := leaveSlug(ctx, tx, o, formerSlug); err != nil {
		return err
	}
	return claimSlug(ctx, tx, o.ID, slug)
}

// dropFormer lets go of the slugs whose time is over, and says how many are left.
func dropFormer(ctx context.Context, tx *store.Tx, orgID string) (left int, err error) {
	page, err := orgSlugs.List(ctx, tx, store.Query{Where: []store.Cond{store.Eq("org_id", orgID)}})
	for _, s := range page.Items {
		if s.Until == nil || tx.Now().Before(*s.Until) {
			left++
		} else if err := orgSlugs.Delete(ctx, tx, s.ID); err != nil {
			return left, err
		}
	}
	return left, err
}

// freeSlug makes a slug out of a name, with a number behind it where it is taken or reserved.
func freeSlug(ctx context.Context, tx *store.Tx, name string) (string, error) {
	base := store.SlugFrom(name)
	if base == "" {
		return "", store.Invalid("slug", "required", "is required where the name has no letter or digit of a-z, 0-9")
	}
	for n := 1; ; n++ {
		slug := base
		if n > 1 {
			suffix := fmt.Sprintf("-%d", n)
			slug = strings.TrimRight(base[:min(len(base), store.MaxSlug-len(suffix))], "-") + suffix
		}
		if slices.Contains(reserved, slug) {
			continue
		}
		if _, err := organizations.Find(ctx, tx, store.Eq("alias_id", slug)); err == nil {
			continue
		} else if !errors.Is(err, store.ErrNotFound) {
			return "", err
		}
		had, err := orgSlugs.Find(ctx, tx, store.Eq("slug", slug))
		if errors.Is(err, store.ErrNotFound) {
			return slug, nil
		} else if err != nil {
			return "", err
		}
		if free, err := had.free(ctx, tx); err != nil || free {
			return slug, err
		}
	}
}

// findOrganization returns an organization by its id, its alias id, its slug, or one that it had before.
func findOrganization(ctx context.Context, tx *store.Tx, ref string) (Organization, error) {
	if strings.HasPrefix(ref, organizations.Kind().Prefix+"_") {
		return organizations.Get(ctx, tx, ref)
	}
	if o, err := organizations.Find(ctx, tx, store.Eq("alias_id", ref)); !errors.Is(err, store.ErrNotFound) {
		return o, err
	}
	s, err := orgSlugs.Find(ctx, tx, store.Eq("slug", store.SlugKey(ref)))
	if err != nil {
		return Organization{}, err
	}
	if s.Until != nil && !tx.Now().Before(*s.Until) {
		return Organization{}, store.ErrNotFound
	}
	return organizations.Get(ctx, tx, s.OrgID)
}
