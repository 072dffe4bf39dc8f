package main

import (
	"net/netip"
	"time"

	"github.com/shopspring/decimal"

	"github.com/orgkit/orgkit/rbac"
)

// step is one live condition more.
type step struct {
	name          string
	without, with rbac.Conditions
}

// steps are the conditions that are measured. An approval is not among them: it is looked up.
func steps() []step {
	age := 480
	score := &rbac.ScoreCondition{Type: rbac.LessThan, Value: 0.8}
	ip := &rbac.IPCondition{Type: rbac.IPInRange, Value: rbac.IPRanges{Ranges: []string{"10.0.0.0/8"}}}
	everyDay := []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}
	base := rbac.Conditions{AnomalyScore: score}
	return []step{
		{"anomaly_score", rbac.Conditions{IPAddress: ip}, rbac.Conditions{IPAddress: ip, AnomalyScore: score}},
		{"ip_address", base, rbac.Conditions{AnomalyScore: score, IPAddress: ip}},
		{"business_hours", base, rbac.Conditions{AnomalyScore: score, Time: &rbac.TimeCondition{Type: rbac.BusinessHours,
			Timezone: "America/New_York", Hours: &rbac.Hours{Start: "00:00", End: "23:59"}, Days: everyDay}}},
		{"time_between", base, rbac.Conditions{AnomalyScore: score, Time: &rbac.TimeCondition{Type: rbac.TimeBetween,
			Start: "2026-01-01T00:00:00Z", End: "2027-01-01T00:00:00Z"}}},
		{"mfa", base, rbac.Conditions{AnomalyScore: score, MFA: &rbac.MFACondition{Type: rbac.Required, MaxAgeMinutes: &age}}},
		{"cost_limit", base, rbac.Conditions{AnomalyScore: score,
			CostLimit: &rbac.CostCondition{Type: rbac.PerRequest, MaxAmount: decimal.RequireFromString("10.00")}}},
	}
}

// conditionInputs meet all of them.
func conditionInputs() rbac.Inputs {
	verified := loadNow.Add(-time.Hour)
	cost := decimal.RequireFromString("0.031254")
	return rbac.Inputs{Now: loadNow, IP: netip.MustParseAddr("10.1.2.3"), MFAAt: &verified, Cost: &cost,
		Anomaly: rbac.Anomaly{Registered: true, Score: 0.1}}
}
