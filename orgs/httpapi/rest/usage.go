package rest

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/billing"
	"github.com/orgkit/orgkit/store"
)

// usageEvent is an event of CloudEvents 1.0, in its JSON format.
type usageEvent struct {
	SpecVersion     string    `json:"specversion" enum:"1.0"`
	ID              string    `json:"id" doc:"with source the identity of the event in the organization"`
	Source          string    `json:"source"`
	Type            string    `json:"type" enum:"ai.usage.v1"`
	Subject         string    `json:"subject,omitempty" doc:"the id of the organization, or that, / and the id of a person"`
	Time            string    `json:"time"`
	DataContentType string    `json:"datacontenttype,omitempty" enum:"application/json"`
	Data            usageData `json:"data"`
}

type usageData struct {
	KeyID        string            `json:"key_id,omitempty" doc:"whose team, project and person the event has"`
	TeamID       string            `json:"team_id,omitempty" doc:"where there is no key"`
	ProjectID    string            `json:"project_id,omitempty"`
	UserID       string            `json:"user_id,omitempty"`
	Model        string            `json:"model,omitempty"`
	Endpoint     string            `json:"endpoint,omitempty"`
	Method       string            `json:"method,omitempty"`
	Status       *int              `json:"status,omitempty" doc:"of HTTP; absent: 200, 0: nobody has answered"`
	LatencyMS    float64           `json:"latency_ms,omitempty" minimum:"0" maximum:"86400000"`
	TTFTMS       float64           `json:"ttft_ms,omitempty" minimum:"0" maximum:"86400000" doc:"until the first token"`
	InputTokens  int64             `json:"input_tokens,omitempty" doc:"cached included; negative in corrections only, as all amounts"`
	CachedTokens int64             `json:"cached_tokens,omitempty"`
	OutputTokens int64             `json:"output_tokens,omitempty"`
	Cost         string            `json:"cost,omitempty" doc:"a decimal with at most 12 places"`
	Currency     string            `json:"currency,omitempty" enum:"USD"`
	PriceVersion string            `json:"price_version,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Unit         string            `json:"unit,omitempty" enum:"gb" doc:"of an event that is no call: quantity is how much there is of resource from then on"`
	Quantity     string            `json:"quantity,omitempty" doc:"a decimal with at most 9 places"`
	Resource     string            `json:"resource,omitempty"`
	Corrects     string            `json:"corrects,omitempty" doc:"the id of the event, of the same source, to which this one adds its tokens and cost"`
}

// event is the event as it is kept. Fields are named as where they stand.
func (u *usageEvent) event(orgID string) (e billing.UsageEvent, err error) {
	d := &u.Data
	e = billing.UsageEvent{Source: u.Source, ID: u.ID, OrgID: orgID, KeyID: d.KeyID, TeamID: d.TeamID, ProjectID: d.ProjectID, UserID: d.UserID, Model: d.Model,
		Endpoint: d.Endpoint, Method: d.Method, Status: http.StatusOK, Latency: duration(d.LatencyMS), TTFT: duration(d.TTFTMS), InputTokens: d.InputTokens,
		CachedTokens: d.CachedTokens, OutputTokens: d.OutputTokens, PriceVersion: d.PriceVersion, Tags: d.Tags, Unit: d.Unit, Resource: d.Resource, Corrects: d.Corrects}
	if d.Status != nil {
		e.Status = *d.Status
	}
	if e.Time, err = instant("time", u.Time); err != nil {
		return e, err
	}
	if u.Subject != "" {
		org, user, _ := strings.Cut(u.Subject, "/")
		if org != orgID || user != "" && e.UserID != "" && user != e.UserID {
			return e, store.Invalid("subject", "range", "must be of this organization and of the person of the event")
		}
		if e.UserID == "" {
			e.UserID = user
		}
	}
	if e.Cost, err = optionalDecimal("cost", d.Cost); err != nil {
		return e, err
	}
	e.Quantity, err = optionalDecimal("quantity", d.Quantity)
	return e, err
}

func optionalDecimal(field, text string) (decimal.Decimal, error) {
	if text == "" {
		return decimal.Zero, nil
	}
	d, err := billing.ParseSignedAmount(text)
	if err != nil {
		return d, store.Invalid(field, "amount", "must be a plain decimal in a text, with at most 12 digits after the point")
	}
	return d, nil
}

// duration is of milliseconds, in whole microseconds.
func duration(ms float64) time.Duration {
	return time.Duration(math.Round(ms*1000)) * time.Microsecond
}

type ingestedView struct {
	Accepted   int            `json:"accepted"`
	Duplicates int            `json:"duplicates" doc:"that were there already, as they are"`
	Conflicts  []conflictView `json:"conflicts" doc:"whose identity is that of another event, which says something else; nothing of them is kept"`
}

type conflictView struct {
	Index  int    `json:"index"`
	Source string `json:"source"`
	ID     string `json:"id"`
}

func (a *api) usage() {
	add[none, []usageEvent](a, http.MethodPost, "/v1/organizations/{org}/usage", "Keep a batch of usage events (CloudEvents 1.0)",
		func(ctx context.Context, _ *none) (*answer[ingestedView], error) {
			at, in, err := placed[[]usageEvent](ctx, a)
			if err != nil {
				return nil, err
			}
			events := make([]billing.UsageEvent, len(in))
			for i := range in {
				if events[i], err = in[i].event(at.OrgID); err != nil {
					return nil, ofUsage(i, err)
				}
			}
			done, err := a.IngestUsage(ctx, at.OrgID, events)
			if err != nil {
				return nil, ofUsage(-1, err)
			}
			out := ingestedView{done.Accepted, done.Duplicates, make([]conflictView, len(done.Conflicts))}
			for i, c := range done.Conflicts {
				out.Conflicts[i] = conflictView(c)
			}
			return ok(out)
		})
}

// ofUsage names a wrong field of an event where it stands in the batch.
func ofUsage(i int, err error) error {
	var field *store.FieldError
	if !errors.As(err, &field) {
		return err
	}
	at, name := "["+strconv.Itoa(i)+"]", field.Field
	if rest, whole := strings.CutPrefix(field.Field, "events"); whole && i < 0 {
		at, name, _ = strings.Cut(rest, ".")
	}
	switch name {
	case "":
		return faulty("body"+at, field.Code, field.Message)
	case "id", "source", "time", "subject":
	default:
		name = "data." + name
	}
	return faulty("body"+at+"."+name, field.Code, field.Message)
}
