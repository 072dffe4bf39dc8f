package opengatellm_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/orgkit/orgkit/orgs/gate/proxy"
	"github.com/orgkit/orgkit/orgs/httpapi/opengatellm"
)

const chat = "/v1/chat/completions"

// asking is a call of a model.
func asking(model string) string {
	return `{"model": "` + model + `", "max_tokens": 100, "messages": []}`
}

// TestCallsOfTokens is what the calls of tokens cost, and when they are refused.
func TestCallsOfTokens(t *testing.T) { // F383, F390, F412, F415
	each(t, func(t *testing.T, w *world) {
		w.clock.Set(time.Date(2026, 3, 3, 12, 0, 0, 0, time.UTC))
		inhabited(w)
		ann := w.as(w.tokenOf(1, ""))
		set := func(tpm, tpd, rpm, rpd string) { w.call(204, "PATCH", roles+"/1", limits(tpm, tpd, rpm, rpd)) }
		ann.golden("a/chat.unlisted", "POST", chat, asking("gpt-4o"))
		set("null", "null", "0", "null")
		ann.golden("a/chat.forbidden", "POST", chat, asking("gpt-4o"))
		set("null", "null", "1", "2")
		ann.golden("a/chat", "POST", chat, asking("gpt-4o"))
		ann.golden("a/chat.rpm", "POST", chat, asking("gpt-4o"))
		w.clock.Advance(time.Minute)
		ann.call(200, "POST", chat, asking("gpt-4o"))
		ann.golden("a/chat.rpd", "POST", chat, asking("gpt-4o"))
		set("1000", "2000", "null", "null") // a call has 1000 of input
		w.clock.Advance(24 * time.Hour)
		ann.call(200, "POST", chat, asking("gpt-4o"))
		ann.golden("a/chat.tpm", "POST", chat, asking("gpt-4o"))
		w.clock.Advance(time.Minute)
		ann.call(200, "POST", chat, asking("gpt-4o"))
		w.clock.Advance(time.Minute)
		ann.golden("a/chat.tpd", "POST", chat, asking("gpt-4o"))

		w.call(204, "PATCH", roles+"/1", `{"limits": `+open("gpt-4o", "small")+`}`)
		w.call(204, "PATCH", users+"/1", `{"organization": 1, "budget": 0.03}`)
		ann.call(200, "POST", chat, asking("gpt-4o"))
		ann.golden("a/chat.budget", "GET", info, "")
		ann.call(200, "POST", chat, asking("gpt-4o")) // the last one may cost more than is left
		ann.golden("a/chat.insufficient", "POST", chat, asking("gpt-4o"))
		ann.golden("a/chat.free", "POST", chat, asking("small"))
		require.Equal(t, 0.0, ann.get(info)["budget"])

		w.call(204, "PATCH", users+"/1", `{"organization": 1, "budget": null}`)
		w.create(projects, `{"name": "One", "organization": 1, "budget": 0, "limits": [{"router": 2, "type": "rpm", "value": 1}], "users": [1]}`)
		of := w.as(w.tokenOf(1, `, "project": 1`))
		of.golden("a/project.chat.insufficient", "POST", chat, asking("gpt-4o"))
		of.call(200, "POST", chat, asking("small"))
		of.golden("a/project.chat.rpm", "POST", chat, asking("small"))
	})
}

func TestCallsOfTheNewestGeneration(t *testing.T) { // F412
	w := onMemory(t, &opengatellm.Options{Generation: opengatellm.GenerationC})
	inhabited(w)
	w.call(200, "PATCH", roles+"/1", limits("null", "null", "1", "null"))
	ann := w.as(w.call(201, "POST", "/v1/admin/keys", `{"name": "k", "user": 1}`).(object)["value"].(string))
	ann.golden("c/chat", "POST", chat, asking("gpt-4o"))
	ann.golden("c/chat.rpm", "POST", chat, asking("gpt-4o"))
	w.call(200, "PATCH", roles+"/1", limits("1000", "null", "null", "null"))
	ann.call(200, "POST", chat, asking("gpt-4o"))
	ann.golden("c/chat.tpm", "POST", chat, asking("gpt-4o"))
	ann.golden("c/chat.unlisted", "POST", chat, asking("small"))
}

// TestWhatDoesNotFitTheBalanceIsRefused where the host in front of models has it so: a proxy whose Fit does not name the dialect.
func TestWhatDoesNotFitTheBalanceIsRefused(t *testing.T) { // F415
	each(t, func(t *testing.T, w *world) {
		inhabited(w)
		w.call(204, "PATCH", roles+"/1", `{"limits": `+open("gpt-4o", "small")+`}`)
		w.call(204, "PATCH", users+"/1", `{"organization": 1, "budget": 0.005}`) // of 0.01, and what the input may cost
		ann := w.as(w.tokenOf(1, ""))
		fits := w.plane
		strict, err := proxy.New(w.gate, w.upstream(), &proxy.Options{Refusals: map[string]proxy.Refusal{opengatellm.Dialect: opengatellm.Refusals(nil)}})
		require.NoError(t, err)
		ann.plane = strict
		ann.fails(400, "Insufficient budget.", "POST", chat, asking("gpt-4o"))
		ann.call(200, "POST", chat, asking("small")) // which costs nothing
		require.Equal(t, 0.005, ann.get(info)["budget"])
		ann.plane = fits
		ann.call(200, "POST", chat, asking("gpt-4o"))
		require.Equal(t, 0.0, ann.get(info)["budget"])
		w.call(204, "PATCH", users+"/1", `{"organization": 1, "budget": 1}`)
		ann.plane = strict
		ann.call(200, "POST", chat, asking("gpt-4o"))
		require.Equal(t, 0.98, ann.get(info)["budget"])
	})
}
