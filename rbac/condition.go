package rbac

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/store"
)

// Conditions are the tests of a statement. The name of a field names the input, Type the test. All
// that are there have to hold.
type Conditions struct {
	IPAddress    *IPCondition       `json:"ip_address,omitempty"`
	Time         *TimeCondition     `json:"time,omitempty"`
	MFA          *MFACondition      `json:"mfa,omitempty"`
	Approval     *ApprovalCondition `json:"approval,omitempty"`
	CostLimit    *CostCondition     `json:"cost_limit,omitempty"`
	AnomalyScore *ScoreCondition    `json:"anomaly_score,omitempty"`
}

// UnmarshalJSON refuses conditions and fields that are not known.
func (c *Conditions) UnmarshalJSON(b []byte) error {
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(b, &parts); err != nil {
		return store.Invalid("conditions", "type", "must be an object")
	}
	*c = Conditions{}
	for name, part := range parts {
		var into any
		switch name {
		case "ip_address":
			into = &c.IPAddress
		case "time":
			into = &c.Time
		case "mfa":
			into = &c.MFA
		case "approval":
			into = &c.Approval
		case "cost_limit":
			into = &c.CostLimit
		case "anomaly_score":
			into = &c.AnomalyScore
		default:
			return store.Invalid("conditions."+name, "unknown", "is not a condition")
		}
		if err := strict(part, "conditions."+name, into); err != nil {
			return err
		}
	}
	return nil
}

// The types of conditions.
const (
	IPInRange       = "ip_in_range"
	IPNotInRange    = "ip_not_in_range"
	BusinessHours   = "business_hours"
	TimeBetween     = "time_between"
	Required        = "required"
	ApprovalMissing = "missing" // of compiled settings only: true while there is no approval
	PerRequest      = "per_request"
	GreaterThan     = "greater_than"
	LessThan        = "less_than"
	Equals          = "equals"
)

// IPCondition tests the client's address.
type IPCondition struct {
	Type  string   `json:"type"`  // ip_in_range or ip_not_in_range
	Value IPRanges `json:"value"` // CIDR or address, or a list of them
}

// IPRanges is one range or a list; it is written back as it was read.
type IPRanges struct {
	Ranges []string
	list   bool
}

// UnmarshalJSON takes a text or a list of texts.
func (r *IPRanges) UnmarshalJSON(b []byte) error {
	*r = IPRanges{}
	var one string
	if json.Unmarshal(b, &one) == nil {
		r.Ranges = []string{one}
		return nil
	}
	r.list = true
	if json.Unmarshal(b, &r.Ranges) != nil {
		return store.Invalid("value", "type", "must be a CIDR range, an address or a list of them")
	}
	return nil
}

// MarshalJSON writes what was read.
func (r IPRanges) MarshalJSON() ([]byte, error) {
	if !r.list && len(r.Ranges) == 1 {
		return json.Marshal(r.Ranges[0])
	}
	return json.Marshal(r.Ranges)
}

// TimeCondition tests the time of the call.
type TimeCondition struct {
	Type     string   `json:"type"`               // business_hours or time_between
	Timezone string   `json:"timezone,omitempty"` // of business hours; "" is the organization's
	Days     []string `json:"days,omitempty"`     // sun to sat; none is mon to fri
	Hours    *Hours   `json:"hours,omitempty"`
	Start    string   `json:"start,omitempty"` // of time_between, RFC 3339, inclusive
	End      string   `json:"end,omitempty"`   // exclusive
}

// Hours are local times of day, HH:MM. Start is inclusive, End exclusive; an End before Start lies
// on the next day.
type Hours struct {
	Start string `json:"start"`
	End   string `json:"end"`
}

// MFACondition tests how long ago the acting person proved a second factor.
type MFACondition struct {
	Type          string `json:"type"`                      // required
	MaxAgeMinutes *int   `json:"max_age_minutes,omitempty"` // nil: any age
}

// ApprovalCondition tests whether somebody has approved.
type ApprovalCondition struct {
	Type           string   `json:"type"`                // required
	Approvers      []string `json:"approvers,omitempty"` // roles, or user:<id>; none is team_lead and org_admin
	ReasonRequired bool     `json:"reason_required,omitempty"`
}

// CostCondition tests the upper bound of what the call may cost.
type CostCondition struct {
	Type      string          `json:"type"`       // per_request
	MaxAmount decimal.Decimal `json:"max_amount"` // USD
}

// UnmarshalJSON reads the amount from its digits.
func (c *CostCondition) UnmarshalJSON(b []byte) error {
	var raw struct {
		Type      string          `json:"type"`
		MaxAmount json.RawMessage `json:"max_amount"`
	}
	if err := strict(b, "", &raw); err != nil {
		return err
	}
	c.Type = raw.Type
	if raw.MaxAmount == nil {
		return store.Invalid("max_amount", "required", "is required")
	}
	amount, err := ParseAmountJSON(raw.MaxAmount)
	if err != nil {
		return store.Invalid("max_amount", "amount", "%s", err.Error())
	}
	c.MaxAmount = amount
	return nil
}

// MarshalJSON writes the amount as a plain number.
func (c CostCondition) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Type      string      `json:"type"`
		MaxAmount json.Number `json:"max_amount"`
	}{c.Type, json.Number(c.MaxAmount.String())})
}

// ScoreCondition compares the anomaly score.
type ScoreCondition struct {
	Type  string  `json:"type"`  // greater_than, less_than or equals
	Value float64 `json:"value"` // 0 to 1
}

func (c Conditions) validate(at string) error {
	bad := func(field, code, text string) error { return store.Invalid(join(at, field), code, "%s", text) }
	if ip := c.IPAddress; ip != nil {
		if ip.Type != IPInRange && ip.Type != IPNotInRange {
			return bad("ip_address.type", "enum", "must be ip_in_range or ip_not_in_range")
		}
		if len(ip.Value.Ranges) == 0 {
			return bad("ip_address.value", "required", "is required")
		}
		for _, r := range ip.Value.Ranges {
			if _, err := ParseRange(r); err != nil {
				return bad("ip_address.value", "cidr", "must be an address or a CIDR range")
			}
		}
	}
	if err := c.Time.validate(join(at, "time")); err != nil {
		return err
	}
	if m := c.MFA; m != nil {
		if m.Type != Required {
			return bad("mfa.type", "enum", "must be required")
		}
		if m.MaxAgeMinutes != nil && *m.MaxAgeMinutes < 1 {
			return bad("mfa.max_age_minutes", "range", "must be at least 1")
		}
	}
	if a := c.Approval; a != nil {
		if a.Type != Required {
			return bad("approval.type", "enum", "must be required")
		}
		for i, who := range a.Approvers {
			if !strings.HasPrefix(who, "user:") && store.CheckSlug("", who) != nil {
				return bad(fmt.Sprintf("approval.approvers[%d]", i), "pattern", "must be the slug of a role or user:<id>")
			}
		}
	}
	if l := c.CostLimit; l != nil && l.Type != PerRequest {
		return bad("cost_limit.type", "enum", "must be per_request")
	}
	if s := c.AnomalyScore; s != nil {
		if s.Type != GreaterThan && s.Type != LessThan && s.Type != Equals {
			return bad("anomaly_score.type", "enum", "must be greater_than, less_than or equals")
		}
		if math.IsNaN(s.Value) || s.Value < 0 || s.Value > 1 {
			return bad("anomaly_score.value", "range", "must be from 0 to 1")
		}
	}
	return nil
}

// ApprovalNeed is what an approval has to meet.
type ApprovalNeed struct {
	Approvers      []string `json:"approvers"` // roles, or user:<id>; empty in requests of a [Matter]: whoever holds the permission
	ReasonRequired bool     `json:"reason_required"`
	Permission     string   `json:"permission,omitempty"` // that an approver holds; "" is members.approve_requests
}

func (a ApprovalCondition) need() ApprovalNeed {
	n := ApprovalNeed{Approvers: a.Approvers, ReasonRequired: a.ReasonRequired}
	if len(n.Approvers) == 0 {
		n.Approvers = []string{"team_lead", OwnerRole}
	}
	return n
}
