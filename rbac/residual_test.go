package rbac

import (
	"fmt"
	"testing"

	"github.com/casbin/casbin/v2"
	"github.com/casbin/casbin/v2/model"
	"github.com/stretchr/testify/require"
)

func grantOf(id string, actions ...string) Rule {
	return Rule{ID: id, Pool: PoolRole, Statement: Statement{Effect: EffectAllow, Actions: actions, Resources: []string{"*"}}}
}

// What Casbin fails on is refused, somebody is told, and nothing of it is kept.
func TestFailureOfCasbinRefusesAndIsNotKept(t *testing.T) {
	var alarms []error
	rs, err := NewRuleset([]Rule{grantOf("a", "models.use")}, &RulesetOptions{Alarm: func(err error) { alarms = append(alarms, err) }})
	require.NoError(t, err)
	for name, fails := range map[string]func(...any) (any, error){
		"error": func(...any) (any, error) { return true, fmt.Errorf("broken") },
		"panic": func(...any) (any, error) { panic("broken") },
		"lies":  func(...any) (any, error) { return true, nil }, // and collects nothing
	} {
		m, err := model.NewModelFromString(casbinModel)
		require.NoError(t, err)
		require.NoError(t, m.AddPolicy("p", "p", []string{"0", "allow"}))
		e, err := casbin.NewEnforcer(m)
		require.NoError(t, err)
		e.AddFunction("collect", fails)
		good := rs.shape
		rs.shape = &shape{allows: 1, enforcer: e}
		alarms = nil
		d := rs.Decide(Question{Action: "models.use", Resource: "model:m"}, Inputs{})
		require.False(t, d.Allowed, name)
		require.Error(t, d.Alarm, name)
		require.False(t, rs.Allows(Question{Action: "models.use", Resource: "model:m"}, &Inputs{}), name)
		require.Len(t, alarms, 2, name)
		rs.shape = good
	}
	require.True(t, rs.Allows(Question{Action: "models.use", Resource: "model:m"}, &Inputs{}))
}

// The more patterns of resources, the more bits a class has; the answers are the same.
func TestRulesWithAnyNumberOfTargets(t *testing.T) {
	for _, n := range []int{1, 6, 63, 64, 65, 200, maxTargets, maxTargets + 1} {
		rules := []Rule{grantOf("all", "models.*")}
		for i := range n {
			r := grantOf(fmt.Sprint("deny", i), "models.use")
			r.Pool, r.Statement.Effect, r.Statement.Resources = PoolSettings, EffectDeny, []string{fmt.Sprintf("model:m%d/*", i)}
			rules = append(rules, r)
		}
		rs, err := NewRuleset(rules, nil)
		require.NoError(t, err)
		for range 2 { // asked, and kept
			for i := range min(n+2, 300) {
				q := Question{Action: "models.use", Resource: fmt.Sprintf("model:m%d/x", i)}
				require.Equal(t, i >= n, rs.Allows(q, &Inputs{}), "%d of %d", i, n)
				q.Action = "models.read"
				require.True(t, rs.Allows(q, &Inputs{}))
			}
		}
	}
}

func TestActionsOfAnotherVocabularyAreRefused(t *testing.T) {
	rs, err := NewRuleset([]Rule{grantOf("all", "*")}, nil)
	require.NoError(t, err)
	for _, place := range []uint32{0, uint32(len(rs.vocabulary.actions)) + 1, 1 << 20} {
		require.True(t, rs.find(&question{action: Action{place}}).settled)
		require.False(t, rs.find(&question{action: Action{place}}).allows)
	}
}

// What is kept of a ruleset does not grow with what is asked.
func TestResourcesAreNotKept(t *testing.T) {
	r := grantOf("some", "models.use")
	r.Statement.Resources = []string{"model:a*", "model:b*"}
	rs, err := NewRuleset([]Rule{r}, nil)
	require.NoError(t, err)
	for i := range 10_000 {
		require.Equal(t, i%2 == 0, rs.Allows(Question{Action: "models.use", Resource: fmt.Sprintf("model:%c%d", 'a'+i%2*2, i)}, &Inputs{}))
	}
	require.Len(t, *rs.cells.Load(), 2) // the classes, and what the patterns match
}
