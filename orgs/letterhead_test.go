package orgs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

// TestDatesAreWrittenAsTheFormatSays: in any format that settings take (F034).
func TestDatesAreWrittenAsTheFormatSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		at := time.Unix(rapid.Int64Range(-2e9, 4e9).Draw(t, "time"), 0).UTC()
		token := rapid.SampledFrom([]string{"YYYY", "YY", "MM", "M", "DD", "D"})
		separator := rapid.StringOfN(rapid.SampledFrom([]rune("-/. ,")), 1, 2, -1)
		write := map[string]string{"YYYY": fmt.Sprintf("%04d", at.Year()), "YY": fmt.Sprintf("%02d", at.Year()%100), "MM": fmt.Sprintf("%02d", at.Month()),
			"M": fmt.Sprint(int(at.Month())), "DD": fmt.Sprintf("%02d", at.Day()), "D": fmt.Sprint(at.Day())}
		first := token.Draw(t, "token")
		format, want := first, write[first]
		for range rapid.IntRange(1, 2).Draw(t, "more") {
			between, next := separator.Draw(t, "separator"), token.Draw(t, "token")
			format, want = format+between+next, want+between+write[next]
		}
		require.NoError(t, orgs.OrgSettings{Defaults: &orgs.DefaultSettings{DateFormat: format}}.Validate())
		require.Equal(t, want, orgs.Letterhead{Zone: time.UTC, DateFormat: format}.Date(at))
	})
}

func TestALetterheadSaysWhoWritesHow(t *testing.T) {
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		org, owner := w.Org("acme")
		other, _ := w.Org("other")
		team := w.Team(org, "crew", orgs.TeamSettings{})
		project, err := w.CreateProject(w.Platform(), org.ID, orgs.NewProject{Name: "Moon"})
		require.NoError(t, err)
		head := func(at orgs.Place, people ...string) (l orgs.Letterhead, err error) {
			err = w.Store().View(t.Context(), func(ctx context.Context, tx *store.Tx) error {
				l, err = orgs.LetterheadOf(ctx, tx, at, people...)
				return err
			})
			return l, err
		}
		l, err := head(orgs.Place{OrgID: org.ID, TeamID: team.ID}, owner.ID, "usr_none")
		require.NoError(t, err)
		require.Equal(t, orgs.Letterhead{Organization: "acme", Place: "crew", Language: "en", Zone: time.UTC, DateFormat: "YYYY-MM-DD", People: map[string]string{owner.ID: owner.Email}}, l)
		settings := orgs.OrgSettings{Defaults: &orgs.DefaultSettings{Language: "de-AT", Timezone: "Europe/Vienna", DateFormat: "D.M.YY"}}
		_, err = w.UpdateOrganization(w.Platform(), org.ID, orgs.OrganizationUpdate{Settings: &settings})
		require.NoError(t, err)
		l, err = head(orgs.Place{OrgID: org.ID, TeamID: project.ID})
		require.NoError(t, err)
		require.Equal(t, "Moon de-AT Europe/Vienna D.M.YY", strings.Join([]string{l.Place, l.Language, l.Zone.String(), l.DateFormat}, " "))
		for _, id := range []string{"team_none", "proj_none"} {
			l, err = head(orgs.Place{OrgID: org.ID, TeamID: id})
			require.NoError(t, err)
			require.Empty(t, l.Place)
		}
		l, err = head(orgs.Place{OrgID: other.ID, TeamID: team.ID})
		require.NoError(t, err)
		require.Empty(t, l.Place, "another organization's team has no name here")
		_, err = head(orgs.Place{OrgID: "org_none"})
		require.ErrorIs(t, err, store.ErrNotFound)
	})
}
