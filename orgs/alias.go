package orgs

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"github.com/orgkit/orgkit/rbac"
	"github.com/orgkit/orgkit/store"
)

// MaxAlias is the most characters of an alias id.
const MaxAlias = 255

// checkAlias checks an id that a client of another system has chosen, by which the record is known beside its own id. It
// must not be mistaken for an id of ours.
func checkAlias(alias, prefix string) error {
	if err := rbac.CheckText("alias_id", alias, 1, MaxAlias); err != nil {
		return err
	}
	if strings.ContainsFunc(alias, unicode.IsControl) {
		return store.Invalid("alias_id", "pattern", "must have no control characters")
	}
	if strings.HasPrefix(alias, prefix+"_") || alias == "me" || strings.TrimSpace(alias) != alias {
		return store.Invalid("alias_id", "reserved", "must not look like an id that is made here")
	}
	return nil
}

var (
	errOrgAliasTaken  = &store.ConflictError{Code: "alias_taken", Message: "an organization with this id exists"}
	errTeamAliasTaken = &store.ConflictError{Code: "alias_taken", Message: "a team with this id exists"}
	errUserAliasTaken = &store.ConflictError{Code: "alias_taken", Message: "a user with this id exists"}
)

// checkOrgAlias says whether a new organization can have the alias. It is nobody's slug either, so that one name leads to one
// organization.
func checkOrgAlias(ctx context.Context, tx *store.Tx, alias string) error {
	if _, err := organizations.Get(ctx, tx, alias); err == nil {
		return errOrgAliasTaken
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := checkAlias(alias, organizations.Kind().Prefix); err != nil {
		return err
	}
	switch _, err := findOrganization(ctx, tx, alias); {
	case err == nil:
		return errOrgAliasTaken
	case !errors.Is(err, store.ErrNotFound):
		return err
	}
	return nil
}

// checkTeamAlias says whether a new team can have the alias.
func checkTeamAlias(ctx context.Context, tx *store.Tx, alias string) error {
	for _, column := range []string{"id", "alias_id"} {
		if n, err := teams.Count(ctx, tx, store.Eq(column, alias)); err != nil {
			return err
		} else if n > 0 {
			return errTeamAliasTaken
		}
	}
	return checkAlias(alias, teams.Kind().Prefix)
}

// known says whether something is known by the name, as the id that it was made with or that was chosen for it.
func known(ref, id string, alias *string) bool { return ref == id || alias != nil && ref == *alias }

// Known says whether the organization is known by the name as an id, and not as a slug.
func (o Organization) Known(ref string) bool { return known(ref, o.ID, o.AliasID) }

// PublicID is the id by which its maker knows the organization.
func (o Organization) PublicID() string { return publicID(o.ID, o.AliasID) }

// Known says whether the team is known by the name as an id, and not as a slug.
func (t Team) Known(ref string) bool { return known(ref, t.ID, t.AliasID) }

// PublicID is the id by which its maker knows the team.
func (t Team) PublicID() string { return publicID(t.ID, t.AliasID) }

// PublicID is the id by which the maker of the user knows them.
func (u User) PublicID() string { return publicID(u.ID, u.AliasID) }

func publicID(id string, alias *string) string {
	if alias != nil {
		return *alias
	}
	return id
}
