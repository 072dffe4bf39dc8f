// Package rbac decides whether an actor may do something here and now, and says why.
//
// [Guard.Check] answers by what a unit sees, [Guard.Allows] and [Guard.Decide] from memory;
// [Guard.Change] is the one way to change anything: it asks, does, records and raises the revision of the
// organization in one transaction. Roles, overrides, policies and approvals, which decisions are made of, are
// kept here too.
//
// # How a decision is made
//
//  1. A deny always wins.
//  2. Where a policy speaks, it decides: if allow statements of attached policies name the action
//     and resource, the conditions of one of them must hold, whatever a role says.
//  3. Where no policy speaks, roles decide: the role at the level of the organization and in the
//     team, with the team's overrides; what is removed beats what is added beats wildcards.
//
// A team's settings are compiled to deny statements, so that one engine explains everything. That
// a model needs approval is a deny while no approval is granted, not an allow with a condition:
// beside an allow of a policy with a cost limit, either one would do, and the limit would be lost.
//
// # Unknown inputs
//
// They fail closed, asymmetrically: an allow whose condition cannot be judged does not apply, a
// deny whose condition cannot be judged does.
//
// # Why, and what would help
//
// A [Decision] names what it rests on; [Decision.Would] says in one sentence what would make a refused call
// pass. Where that is an approval, [Guard.RequestApproval] asks for it: one request meets all rules that ask for
// one, the settings of a team and policies alike, each by somebody whom it names and who still qualifies when
// the grant is used. Each step is an event and, in its unit, an [ApprovalNotice].
//
// # The other way round
//
// [Guard.WhoCan] and [Guard.WhatCan] ask who may do something and what somebody may do. [Guard.WhatIf] makes
// any change, finds the difference that it makes to everybody, and takes it back; [Guard.Narrowing] makes it
// only if it grants nothing new. [Guard.Lint] finds what cannot do what it looks like. All of them ask the
// rulesets that decide, and none has an opinion of its own.
//
// # OpenTelemetry
//
// Where store.Options.Telemetry says so each decision that has its reasons counts in orgkit.rbac.decisions, by orgkit.code
// (allowed, or the code of the refusal), and is an event orgkit.decision of the span of its context. Answers from memory that
// have none, as of [Principal.Allows], are not counted: the admissions of a gate are, by the gate.
//
// # Casbin
//
// Casbin evaluates; everything it is fed is compiled by this package. Its model has one matcher,
// our function over precompiled patterns, so none of its own pattern dialects decides anything
// (keyMatch("billing.delete", "*.read") is true), no rule can fail, and no enforcer is ever changed
// once it was built. A line of its policy is a place in a ruleset and an effect, not a rule, so that all
// rulesets of one shape share an enforcer: it is told no more than it needs, and costs no memory per tenant.
//
// Conditions are not in the matcher. Casbin says once which rules name an action and a class of resources,
// those that the same patterns match; what is left of the question then, the residual, is kept, and its
// conditions are tested for each call. Where nothing is left the answer is a bit. Nothing is kept of a
// resource or of a subject that holds nothing.
//
// # Memory and freshness
//
// An organization that is asked about is held in memory: its rules, and who holds what. Every change names in
// the trail of its [Scope] what it touched; those records are read again, in one View, and the next state
// shares the rest with the one before. In this process that has happened before the change returns. Other
// processes hear of it by [store.Store.Listen], or find it by comparing revisions ([MemoryOptions]), which
// needs no feed. While the database cannot be reached memory is trusted for a moment only; then questions fail.
// A token that a change answered ([Revision]) can be demanded of an answer by [Call].Least.
//
// Rights flow down the tree: the organizations above are in memory each by itself, and a view of them is put
// together again when one has changed.
package rbac
