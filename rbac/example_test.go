package rbac_test

import (
	"encoding/json"
	"fmt"
	"net/netip"

	"github.com/orgkit/orgkit/rbac"
)

func ExampleRuleset_Decide() {
	var office rbac.Statement
	if err := json.Unmarshal([]byte(`{"effect": "allow", "actions": ["models:use"], "resources": ["model:claude-3-*"],
		"conditions": {"ip_address": {"type": "ip_in_range", "value": "10.0.0.0/8"}}}`), &office); err != nil {
		panic(err)
	}
	rules, err := rbac.NewRuleset([]rbac.Rule{
		{ID: "policy", Pool: rbac.PoolPolicy, Source: "Office only", Statement: office},
		{ID: "role", Pool: rbac.PoolRole, Source: "developer", Statement: rbac.Statement{
			Effect: rbac.EffectAllow, Actions: []string{"models.use"}, Resources: []string{"*"}}},
	}, nil)
	if err != nil {
		panic(err)
	}
	for _, ip := range []string{"10.1.2.3", "192.0.2.1"} {
		d := rules.Decide(rbac.Question{Action: "models.use", Resource: "model:claude-3-opus"}, rbac.Inputs{IP: netip.MustParseAddr(ip)})
		fmt.Println(ip, d.Allowed, d.Code, d.Remedy)
	}
	// Output:
	// 10.1.2.3 true  []
	// 192.0.2.1 false policy_denied [call from 10.0.0.0/8]
}
