package opengatellm_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const routers = "/v1/admin/routers"

// open are limits that let everything through, of models.
func open(models ...string) string {
	var list []string
	for _, m := range models {
		for _, t := range []string{"tpm", "tpd", "rpm", "rpd"} {
			list = append(list, fmt.Sprintf(`{"router": %q, "type": %q, "value": null}`, m, t))
		}
	}
	return "[" + strings.Join(list, ", ") + "]"
}

func limits(tpm, tpd, rpm, rpd string) string {
	return fmt.Sprintf(`{"limits": [{"router": 1, "type": "tpm", "value": %s}, {"router": 1, "type": "tpd", "value": %s},
		{"router": 1, "type": "rpm", "value": %s}, {"router": 1, "type": "rpd", "value": %s}]}`, tpm, tpd, rpm, rpd)
}

func TestRouters(t *testing.T) { // F411
	each(t, func(t *testing.T, w *world) {
		w.golden("a/routers", "GET", routers, "")
		w.golden("a/router", "GET", routers+"/2", "")
		w.fails(404, "Model router not found.", "GET", routers+"/3", "")
		require.Equal(t, 405, w.do("POST", routers, `{}`).Code)
	})
}

func TestLimitsOfRoles(t *testing.T) { // F411
	each(t, func(t *testing.T, w *world) {
		w.golden("a/role.limits", "POST", roles, `{"name": "limited", "limits": [{"router": 1, "type": "tpm", "value": 100}, {"router": "small", "type": "rpd", "value": null}, {"model": "gpt", "type": "rpm", "value": 0}]}`)
		w.golden("a/role.limited", "GET", roles+"/1", "")
		w.golden("a/role.limits.invalid", "PATCH", roles+"/1", `{"limits": [{"router": 1, "type": "tpm", "value": -1}, {"router": 1, "type": "tps"}, {"type": "tpm"}, 7, {"router": 1, "type": "rpm"}, {"router": 1, "type": "rpm", "value": 2}]}`)
		w.golden("a/role.limits.unknown", "PATCH", roles+"/1", `{"limits": [{"router": 9, "type": "tpm", "value": 1}]}`)
		w.fails(404, "Model router not found.", "PATCH", roles+"/1", `{"limits": [{"router": "nothing", "type": "tpm", "value": 1}]}`)
		require.Equal(t, "Value error, Duplicate limit found: (gpt, tpm).", w.invalid("PATCH", roles+"/1", `{"limits": [{"router": 1, "type": "tpm"}, {"router": "gpt", "type": "tpm"}]}`)["msg"])
		w.call(204, "PATCH", roles+"/1", `{"name": "other"}`)
		require.Len(t, w.get(roles + "/1")["limits"], 3, "they stay")
		w.call(204, "PATCH", roles+"/1", `{"limits": []}`)
		require.Empty(t, w.get(roles + "/1")["limits"])
	})
}

// TestLimitsOfRolesAreInForce has two people of one role call a model: each has the limits for themselves.
func TestLimitsOfRolesAreInForce(t *testing.T) { // F412
	each(t, func(t *testing.T, w *world) {
		w.clock.Set(time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC))
		inhabited(w)
		w.call(204, "PATCH", users+"/2", `{"organization": 1}`)
		ann, bob := w.tokenOf(1, ""), w.tokenOf(2, "")
		set := func(tpm, tpd, rpm, rpd string) { w.call(204, "PATCH", roles+"/1", limits(tpm, tpd, rpm, rpd)) }

		require.Equal(t, "unsupported_model", w.calls(ann, "gpt-4o"), "a role without limits lets nobody use anything")
		w.call(204, "PATCH", roles+"/1", `{"limits": [{"router": 1, "type": "rpm", "value": 5}]}`)
		require.Equal(t, "model_not_allowed", w.calls(ann, "gpt-4o"), "a type is missing")
		set("null", "null", "0", "null")
		require.Equal(t, "model_not_allowed", w.calls(ann, "gpt-4o"))
		set("null", "null", "2", "3")
		require.Equal(t, "unsupported_model", w.calls(ann, "small"))
		require.Equal(t, []string{"", "", "rate_limit_exceeded"}, []string{w.calls(ann, "gpt-4o"), w.calls(ann, "gpt"), w.calls(ann, "gpt-4o")})
		require.Empty(t, w.calls(bob, "gpt-4o"))
		w.clock.Advance(time.Minute)
		require.Equal(t, []string{"", "rate_limit_exceeded"}, []string{w.calls(ann, "gpt-4o"), w.calls(ann, "gpt-4o")}, "three a day")
		w.clock.Advance(12 * time.Hour)
		require.Empty(t, w.calls(ann, "gpt-4o"), "a day of UTC")
		set("null", "null", "null", "null")
		for range 4 {
			require.Empty(t, w.calls(ann, "gpt-4o"))
		}
		w.clock.Advance(24 * time.Hour)
		set("2500", "4000", "null", "null") // a call has 1000 tokens of input, and 100 of output that do not count
		require.Equal(t, []string{"", "", "rate_limit_exceeded"}, []string{w.calls(ann, "gpt-4o"), w.calls(ann, "gpt-4o"), w.calls(ann, "gpt-4o")})
		w.clock.Advance(time.Minute)
		require.Equal(t, []string{"", "", "rate_limit_exceeded"}, []string{w.calls(ann, "gpt-4o"), w.calls(ann, "gpt-4o"), w.calls(ann, "gpt-4o")})
		w.clock.Advance(time.Minute)
		require.Equal(t, "rate_limit_exceeded", w.calls(ann, "gpt-4o"), "four thousand a day")

		w.create(roles, `{"name": "free", "limits": `+open("gpt-4o")+`}`)
		w.call(204, "PATCH", users+"/1", `{"role": 2, "organization": 1}`)
		require.Empty(t, w.calls(ann, "gpt-4o"), "another role, from the next call on")
		models, err := w.gate.Models(t.Context(), callOf(ann))
		require.NoError(t, err)
		require.Len(t, models, 1, "what the role does not name is not listed")
	})
}

// TestTheLastAdmin is about the option.
func TestTheLastAdmin(t *testing.T) { // F409
	each(t, func(t *testing.T, w *world) {
		w.protect()
		w.create(roles, `{"name": "admins", "permissions": ["admin"]}`)
		w.create(roles, `{"name": "others"}`)
		w.create(users, person("ann@b.example", ""))
		w.create(users, person("bob@b.example", ""))
		w.call(204, "DELETE", users+"/2", "")
		const last = "Last admin user cannot be removed."
		w.fails(409, last, "DELETE", users+"/1", "")
		w.fails(409, last, "PATCH", users+"/1", `{"role": 2}`)
		w.fails(409, last, "PATCH", users+"/1", fmt.Sprintf(`{"expires": %d}`, w.clock.Now().Add(time.Hour).Unix()))
		w.fails(409, last, "PATCH", roles+"/1", `{"permissions": ["read_metric"]}`)
		require.Equal(t, []any{1.0, nil}, []any{w.get(users + "/1")["role"], w.get(users + "/1")["expires"]}, "nothing is stored")
		w.call(204, "PATCH", users+"/1", `{"name": "Ann"}`)
		w.create(users, person("eve@b.example", ""))
		w.call(204, "DELETE", users+"/1", "")
	})
}
