package orgs_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs"
	"github.com/orgkit/orgkit/orgs/orgstest"
	"github.com/orgkit/orgkit/store"
	"github.com/orgkit/orgkit/store/storetest"
)

func TestKnownCustomizationsAreChecked(t *testing.T) { // F361
	each(t, func(t *testing.T, w *orgstest.World, _ *storetest.Clock) {
		o, _ := w.Org("acme")
		for _, c := range []struct{ object, field string }{
			{`{"theme": "dark", "logo_url": "https://acme.example/logo.png?x=1", "branding_color": "#0047ab", "font": {"size": [1]}}`, ""},
			{`{"theme": null, "branding_color": "#04A"}`, ""},
			{`{"a":` + strings.Repeat("[", 15) + strings.Repeat("]", 15) + `}`, ""},
			{`{"a":` + strings.Repeat("[", 16) + strings.Repeat("]", 16) + `}`, "customizations"},
			{`{"a": "` + strings.Repeat("x", orgs.MaxMetadata) + `"}`, "customizations"},
			{`["a"]`, "customizations"},
			{`{"theme": 1}`, "customizations.theme"},
			{`{"theme": "` + strings.Repeat("é", 65) + `"}`, "customizations.theme"},
			{`{"branding_color": "0047AB"}`, "customizations.branding_color"},
			{`{"branding_color": "#0047A"}`, "customizations.branding_color"},
			{`{"logo_url": "http://acme.example/logo.png"}`, "customizations.logo_url"},
			{`{"logo_url": "https://user:pass@acme.example/logo.png"}`, "customizations.logo_url"},
			{`{"logo_url": "https:///logo.png"}`, "customizations.logo_url"},
			{`{"logo_url": "//acme.example/logo.png"}`, "customizations.logo_url"},
			{`{"logo_url": "javascript:alert(1)"}`, "customizations.logo_url"},
			{`{"logo_url": "https://acme.example/` + strings.Repeat("x", 2048) + `"}`, "customizations.logo_url"},
		} {
			raw := json.RawMessage(c.object)
			_, err := w.UpdateOrganization(w.Platform(), o.ID, orgs.OrganizationUpdate{Customizations: &raw})
			if c.field == "" {
				require.NoError(t, err, c.object)
				kept, err := w.Organization(w.Platform(), o.ID)
				require.NoError(t, err)
				require.JSONEq(t, c.object, string(kept.Customizations))
				continue
			}
			var field *store.FieldError
			require.True(t, errors.As(err, &field), "%.60s: %v", c.object, err)
			require.Equal(t, c.field, field.Field)
		}
	})
}
