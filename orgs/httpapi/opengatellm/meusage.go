package opengatellm

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/orgs"
)

// endpoints are those whose calls are listed.
var endpoints = []string{"/v1/audio/transcriptions", "/v1/chat/completions", "/v1/embeddings", "/v1/ocr", "/v1/rerank", "/v1/search"}

// impacts are not measured here.
type impacts struct {
	KWh     *float64 `json:"kWh"`
	KgCO2eq *float64 `json:"kgCO2eq"`
}

type callView struct {
	Object   string   `json:"object"`
	Model    string   `json:"model"`
	Key      *string  `json:"key"` // its name; null where it is gone
	Endpoint string   `json:"endpoint"`
	Method   string   `json:"method"`
	Status   int      `json:"status"`
	Usage    usedView `json:"usage"`
	Created  int64    `json:"created"`
}

type usedView struct {
	Prompt     int64       `json:"prompt_tokens"`
	Completion int64       `json:"completion_tokens"`
	Total      int64       `json:"total_tokens"`
	Cost       json.Number `json:"cost"`
	Carbon     impacts     `json:"carbon"`
	Metrics    struct {
		Latency *int64 `json:"latency"` // milliseconds
		TTFT    *int64 `json:"ttft"`
	} `json:"metrics"`
}

// bucketView is a day of UTC.
type bucketView struct {
	Object     string      `json:"object"`
	Start      int64       `json:"start_time"`
	End        int64       `json:"end_time"` // that which it has no more
	Prompt     int64       `json:"prompt_tokens"`
	Completion int64       `json:"completion_tokens"`
	Total      int64       `json:"total_tokens"`
	Cost       json.Number `json:"cost"`
	Impacts    impacts     `json:"impacts"`
}

// money is an amount as it is shown: six places, half to even.
func money(d decimal.Decimal) json.Number { return json.Number(d.RoundBank(6).String()) }

// usageSpan is how far back who names no time looks, and maxUsageSpan how far anybody does at once.
const (
	usageSpan    = 30 * 24 * time.Hour
	maxUsageSpan = 366 * 24 * time.Hour
)

// ownUsage is what one has used: call by call, or, in the newest generation, day by day.
func (a *api) ownUsage(r *http.Request) (answer, error) {
	in, err := query(r)
	if err != nil {
		return answer{}, err
	}
	now := a.Store().Now()
	byDay := a.opt.Generation == GenerationC
	q := orgs.CallQuery{Endpoint: in.maybeOneOf("endpoint", endpoints...)}
	p := paging{offset: in.number("offset", "", 0, 0, 0), limit: in.number("limit", "", 10, 1, 100)}
	from, until := in.wanted("start_time", ""), in.wanted("end_time", "")
	key := in.wanted("key_id", "")
	if byDay {
		q.Models = modelsOf(in.query)
		if from == nil {
			in.wrong("query", "start_time", "missing", "Field required", nil)
		}
		if until == nil {
			in.wrong("query", "end_time", "missing", "Field required", nil)
		}
		if err := in.err(); err != nil {
			return answer{}, err
		}
	}
	q.Below = now.Add(time.Second)
	if until != nil {
		q.Below = time.Unix(*until, 0).Add(time.Second) // that second too
	}
	if q.From = q.Below.Add(-usageSpan); from != nil {
		q.From = time.Unix(*from, 0)
	}
	switch {
	case q.From.Year() < 1970 || q.Below.Year() > 9999 || !q.From.Before(q.Below):
		in.wrong("query", "start_time", "value_error", "Value error, must not lie after end_time.", nil)
	case q.Below.Sub(q.From) > maxUsageSpan:
		in.wrong("query", "start_time", "value_error", "Value error, must not lie more than 366 days before end_time.", nil)
	}
	if err := in.err(); err != nil {
		return answer{}, err
	}
	ctx := r.Context()
	if key != nil {
		u, _, err := a.self(ctx)
		if err != nil {
			return answer{}, err
		}
		t, err := a.tokenNumbered(ctx, *key, u.ID)
		if err != nil {
			return answer{}, err
		}
		q.Key = t.id
	}
	if byDay {
		return a.usageByDay(ctx, q)
	}
	return a.usageByCall(ctx, p, q)
}

// modelsOf are the models that a query names, as models or models[].
func modelsOf(q url.Values) (models []string) {
	return append(append([]string(nil), q["models"]...), q["models[]"]...)
}

// maxCalls bounds how far into one's calls a list goes.
const maxCalls = 10_000

func (a *api) usageByCall(ctx context.Context, p paging, q orgs.CallQuery) (answer, error) {
	v := listView{Object: "list", Data: []any{}}
	if p.offset >= maxCalls {
		return answer{http.StatusOK, v}, nil
	}
	q.Limit = int(p.offset + p.limit)
	calls, err := a.Calls(ctx, q)
	if err != nil {
		return answer{}, err
	}
	names := map[string]*string{}
	for _, e := range calls[min(int(p.offset), len(calls)):] {
		if _, asked := names[e.KeyID]; !asked {
			names[e.KeyID] = a.tokenName(ctx, e)
		}
		v.Data = append(v.Data, renderCall(e, names[e.KeyID]))
	}
	return answer{http.StatusOK, v}, nil
}

// tokenName is the name of the token that a call was made by, nil where that is gone.
func (a *api) tokenName(ctx context.Context, e billing.UsageEvent) *string {
	ctx = sovereign(ctx)
	if t, err := a.Token(ctx, e.UserID, e.KeyID); err == nil {
		return &t.Name
	}
	if k, err := a.APIKey(ctx, e.KeyID); err == nil {
		return &k.Name
	}
	return nil
}

func renderCall(e billing.UsageEvent, key *string) callView {
	v := callView{Object: "me.usage", Model: e.Model, Key: key, Endpoint: e.Endpoint, Method: e.Method, Status: e.Status, Created: e.Time.Unix(),
		Usage: usedView{Prompt: e.InputTokens, Completion: e.OutputTokens, Total: e.InputTokens + e.OutputTokens, Cost: money(e.Cost)}}
	v.Usage.Metrics.Latency, v.Usage.Metrics.TTFT = millis(e.Latency), millis(e.TTFT)
	return v
}

// millis is nil for what is not known.
func millis(d time.Duration) *int64 {
	if d == 0 {
		return nil
	}
	n := d.Milliseconds()
	return &n
}

func (a *api) usageByDay(ctx context.Context, q orgs.CallQuery) (answer, error) {
	days, err := a.CallDays(ctx, q)
	v := listView{Object: "list", Data: []any{}}
	for _, d := range days {
		v.Data = append(v.Data, bucketView{"usage.bucket", d.Start.Unix(), d.Start.Add(24 * time.Hour).Unix(), d.InputTokens, d.OutputTokens,
			d.InputTokens + d.OutputTokens, money(d.Cost), impacts{}})
	}
	return answer{http.StatusOK, v}, err
}
