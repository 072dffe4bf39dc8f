package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The features of the three systems whose clients the dialects serve: the /orgs API, OpenGateLLM and LiteLLM.
const firstRow, lastRow = 338, 454

// goldens are where the features are seen, by the file of a request and its answer, below the dialects' packages. Of a file with
// many requests the one is named that shows them.
var goldens = []struct{ file, request, rows string }{
	{"locktera/testdata/unauthorized.txt", "", "F338 F339"},
	{"locktera/testdata/unpermitted.txt", "", "F339"},
	{"locktera/testdata/unknown.txt", "", "F339 F340"},
	{"locktera/testdata/failed.txt", "", "F339"},
	{"locktera/testdata/organization.get.txt", "", "F340-F345"},
	{"locktera/testdata/organization.update.txt", "", "F346-F348"},
	{"locktera/testdata/organization.merge.txt", "", "F348"},
	{"locktera/testdata/organization.bad.txt", "", "F339 F346 F347"},
	{"locktera/testdata/organization.delete.txt", "", "F349 F350"},
	{"locktera/testdata/organization.gone.txt", "", "F349"},
	{"locktera/testdata/spec.organization.delete.txt", "", "F339"},
	{"locktera/testdata/access_log.txt", "", "F351"},
	{"locktera/testdata/access_log.sign_in.txt", "", "F351-F355"},
	{"locktera/testdata/children_audit.txt", "", "F356 F357"},
	{"locktera/testdata/consumption.txt", "", "F358 F359"},
	{"locktera/testdata/customizations.get.txt", "", "F360"},
	{"locktera/testdata/customizations.set.txt", "", "F361 F362 F364"},
	{"locktera/testdata/customizations.bad.txt", "", "F361"},
	{"locktera/testdata/customizations.wrapped.txt", "", "F363"},
	{"locktera/testdata/customizations.none.txt", "", "F363"},
	{"locktera/testdata/spec.customizations.txt", "", "F364"},
	{"locktera/testdata/child.txt", "", "F365"},
	{"locktera/testdata/organization.below.txt", "", "F365"},
	{"locktera/testdata/api_key.create.txt", "", "F366"},
	{"locktera/testdata/api_keys.txt", "", "F366"},
	{"locktera/testdata/api_key.delete.txt", "", "F366"},
	{"locktera/testdata/tags.txt", "", "F367"},

	{"opengatellm/testdata/a/no_admin.txt", "", "F368"},
	{"opengatellm/testdata/a/unauthenticated.txt", "", "F368"},
	{"opengatellm/testdata/a/organization.users.txt", "", "F369"},
	{"opengatellm/testdata/a/organization.invalid.txt", "", "F370"},
	{"opengatellm/testdata/a/organization.taken.txt", "", "F370"},
	{"opengatellm/testdata/a/organization.create.txt", "", "F371"},
	{"opengatellm/testdata/c/organization.create.txt", "", "F371"},
	{"opengatellm/testdata/a/organizations.txt", "", "F372"},
	{"opengatellm/testdata/c/organizations.txt", "", "F372"},
	{"opengatellm/testdata/a/organizations.page.txt", "", "F373-F376"},
	{"opengatellm/testdata/a/organizations.invalid.txt", "", "F373-F376"},
	{"opengatellm/testdata/a/organization.txt", "", "F377 F380"},
	{"opengatellm/testdata/a/organization.missing.txt", "", "F377"},
	{"opengatellm/testdata/a/organization.update.txt", "", "F378"},
	{"opengatellm/testdata/a/organization.update.taken.txt", "", "F378"},
	{"opengatellm/testdata/c/organization.update.empty.txt", "", "F378"},
	{"opengatellm/testdata/a/organization.delete.txt", "", "F379"},
	{"opengatellm/testdata/a/organization.full.txt", "", "F379"},
	{"opengatellm/testdata/c/organization.delete.txt", "", "F379"},
	{"opengatellm/testdata/a/project.create.txt", "", "F381"},
	{"opengatellm/testdata/a/project.isolated.txt", "", "F382"},
	{"opengatellm/testdata/a/project.chat.insufficient.txt", "", "F383"},
	{"opengatellm/testdata/a/project.chat.rpm.txt", "", "F383"},
	{"opengatellm/testdata/a/user.create.txt", "", "F384-F391"},
	{"opengatellm/testdata/a/user.taken.txt", "", "F384 F385"},
	{"opengatellm/testdata/a/user.role.txt", "", "F384 F388"},
	{"opengatellm/testdata/a/user.organization.txt", "", "F384 F389"},
	{"opengatellm/testdata/a/user.invalid.txt", "", "F385 F390"},
	{"opengatellm/testdata/a/user.password.txt", "", "F387"},
	{"opengatellm/testdata/a/chat.insufficient.txt", "", "F390"},
	{"opengatellm/testdata/a/user.expired.txt", "", "F391"},
	{"opengatellm/testdata/a/expired.me.txt", "", "F391 F414"},
	{"opengatellm/testdata/a/expired.keys.txt", "", "F391"},
	{"opengatellm/testdata/a/expired.chat.txt", "", "F391"},
	{"opengatellm/testdata/a/user.txt", "", "F392-F395 F404"},
	{"opengatellm/testdata/a/users.txt", "", "F396-F398"},
	{"opengatellm/testdata/a/users.email.txt", "", "F399"},
	{"opengatellm/testdata/a/users.unknown.txt", "", "F399"},
	{"opengatellm/testdata/c/users.none.txt", "", "F399"},
	{"opengatellm/testdata/a/users.page.txt", "", "F400-F403"},
	{"opengatellm/testdata/a/users.invalid.txt", "", "F397 F398 F400-F403"},
	{"opengatellm/testdata/a/user.missing.txt", "", "F404"},
	{"opengatellm/testdata/a/user.update.txt", "", "F405-F408"},
	{"opengatellm/testdata/a/user.cleared.txt", "", "F405 F408"},
	{"opengatellm/testdata/c/user.update.partial.txt", "", "F405"},
	{"opengatellm/testdata/a/user.delete.txt", "", "F409"},
	{"opengatellm/testdata/a/login.txt", "", "F410 F416"},
	{"opengatellm/testdata/c/sso.login.txt", "", "F392 F393 F410 F416"},
	{"opengatellm/testdata/a/role.create.txt", "", "F411"},
	{"opengatellm/testdata/a/role.limits.txt", "", "F411"},
	{"opengatellm/testdata/a/role.update.txt", "", "F411"},
	{"opengatellm/testdata/a/role.held.txt", "", "F411"},
	{"opengatellm/testdata/a/role.delete.txt", "", "F411"},
	{"opengatellm/testdata/a/chat.rpm.txt", "", "F412"},
	{"opengatellm/testdata/a/chat.rpd.txt", "", "F412"},
	{"opengatellm/testdata/a/chat.tpm.txt", "", "F412"},
	{"opengatellm/testdata/a/chat.tpd.txt", "", "F412"},
	{"opengatellm/testdata/a/chat.forbidden.txt", "", "F412"},
	{"opengatellm/testdata/a/chat.unlisted.txt", "", "F412"},
	{"opengatellm/testdata/a/token.create.txt", "", "F413"},
	{"opengatellm/testdata/a/token.txt", "", "F413"},
	{"opengatellm/testdata/c/key.late.txt", "", "F413"},
	{"opengatellm/testdata/a/me.txt", "", "F414"},
	{"opengatellm/testdata/a/own_keys.txt", "", "F414"},
	{"opengatellm/testdata/a/usage.txt", "", "F414 F415"},
	{"opengatellm/testdata/a/chat.txt", "", "F415"},

	{"litellm/testdata/organizations.golden", "POST /organization/new", "F417-F420 F422-F435"},
	{"litellm/testdata/callers.golden", "POST /organization/new", "F417"},
	{"litellm/testdata/budgets.golden", "POST /organization/new", "F421"},
	{"litellm/testdata/refusals.golden", "POST /organization/new", "F419 F421"},
	{"litellm/testdata/calls.golden", "POST /v1/chat/completions", "F420 F422-F428 F430 F432 F433 F437 F445"},
	{"litellm/testdata/organizations.golden", "PATCH /organization/update", "F435 F436"},
	{"litellm/testdata/callers.golden", "PATCH /organization/update", "F436"},
	{"litellm/testdata/organizations.golden", "DELETE /organization/delete", "F437"},
	{"litellm/testdata/refusals.golden", "DELETE /organization/delete", "F437"},
	{"litellm/testdata/callers.golden", "DELETE /organization/delete", "F438"},
	{"litellm/testdata/organizations.golden", "GET /organization/list", "F439"},
	{"litellm/testdata/callers.golden", "GET /organization/list", "F439 F452"},
	{"litellm/testdata/organizations.golden", "GET /organization/info?organization_id=research", "F440"},
	{"litellm/testdata/organizations.golden", "POST /organization/info", "F441"},
	{"litellm/testdata/refusals.golden", "POST /organization/info", "F441"},
	{"litellm/testdata/members.golden", "POST /organization/member_add", "F442-F446"},
	{"litellm/testdata/refusals.golden", "POST /organization/member_add", "F443 F444 F451"},
	{"litellm/testdata/callers.golden", "POST /organization/member_add", "F442"},
	{"litellm/testdata/members.golden", "PATCH /organization/member_update", "F447-F449"},
	{"litellm/testdata/members.golden", "DELETE /organization/member_delete", "F450"},
	{"litellm/testdata/refusals.golden", "PATCH /organization/update", "F451"},
	{"litellm/testdata/openapi.json", "", "F453"},
	{"litellm/testdata/away.golden", "GET /organization/list", "F454"},
}

// numbers are the rows that a text names, as "F338 F340-F342".
func numbers(t *testing.T, text string) (list []int) {
	t.Helper()
	for _, part := range strings.Fields(text) {
		from, to, many := strings.Cut(part, "-")
		if !many {
			to = from
		}
		first, err := strconv.Atoi(strings.TrimPrefix(from, "F"))
		require.NoError(t, err, text)
		last, err := strconv.Atoi(strings.TrimPrefix(to, "F"))
		require.NoError(t, err, text)
		require.True(t, firstRow <= first && first <= last && last <= lastRow, text)
		for n := first; n <= last; n++ {
			list = append(list, n)
		}
	}
	return list
}

// complete wants every row to be among those that are shown.
func complete(t *testing.T, shown []int) {
	t.Helper()
	var missing []string
	for n := firstRow; n <= lastRow; n++ {
		if !slices.Contains(shown, n) {
			missing = append(missing, fmt.Sprint("F", n))
		}
	}
	require.Empty(t, missing, "nothing shows these")
}

// TestEveryFeatureOfADialectHasAGoldenFile goes over the features, and looks for the files.
func TestEveryFeatureOfADialectHasAGoldenFile(t *testing.T) { // F338 to F454
	var shown []int
	for _, g := range goldens {
		text, err := os.ReadFile(filepath.Join("..", "..", "orgs", "httpapi", filepath.FromSlash(g.file)))
		require.NoError(t, err)
		if g.request != "" {
			require.Regexp(t, regexp.MustCompile(`(?m)^> `+regexp.QuoteMeta(g.request)+`$`), string(text), g.file)
		}
		shown = append(shown, numbers(t, g.rows)...)
	}
	complete(t, shown)
}
