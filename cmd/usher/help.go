package main

import (
	"fmt"

	"github.com/usher-access/usher/manifests"
)

type helpCommand struct {
	Policy helpPolicyCommand `cmd:"" help:"Explain how policy is written, with an example that has every key in it."`
}

type helpPolicyCommand struct{}

// policyHelp comes before the example.
const policyHelp = `Policy says what people may ask for, who decides, and what then happens. It is a
folder of *.yaml files. Every top-level key may be in each of them; usher reads
them all as one, and writes nothing unless everything in them is right.

  usher plan -f policy/       what would change
  usher apply -f policy/      change it
  usher export -o policy/     write what there is as such a folder
  usher explain --for ana@acme.example --resource github --level admin

Names      small letters, digits and -, unique per kind; the IDs of steps may have
           a _ too. They are for good; titles may change.
Durations  45m, 8h, 30d, 2w, or ISO 8601 such as P30D; at most 365d.
Steps      run in order. One whose when is false is skipped. A denial ends the
           request, unless a later when reads steps.ID.outcome.
People     (approvers, assignees, owners, fallback, to, tell, review)
           ana@acme.example, group:NAME, group-owners:NAME, team:NAME, manager,
           manager-of-manager, manager-of-approver (in escalate), resource-owners,
           requester, request-assignee, rule:'CEL that returns e-mail addresses'.
           When nobody is found, the fallback is asked; still nobody, and the step
           waits until somebody is named.
Questions  text, long_text, number, select, multiselect, date, duration, person.
Rules      CEL over requester (email, name, manager, title, groups, attributes),
           resource, level, duration, answers, steps and now. A when may also be
           {step: ID, is: VALUE}, with is, is_not, contains, not_contains,
           includes, in, not_in, before, after, between or not_empty, and be
           combined as {all: […]} and {any: […]}.
Actions    webhook {url}, okta_group {group}, okta_app {app}, okta_bundle {bundle},
           okta_workflow {url}, jira {project, type, summary}, servicenow {table,
           short_description}, task {title, assignees}. Their texts may have
           {{requester.name}}, {{requester.email}}, {{requester.title}},
           {{requester.attributes.NAME}}, {{resource}}, {{level}}, {{request}} and
           {{answers.ID}} in them. What usher is not connected to, people do by hand.

A policy with every key in it:

`

// Run explains policy.
func (helpPolicyCommand) Run(s streams) error {
	_, err := fmt.Fprint(s.out, policyHelp+manifests.ExamplePolicy)
	return err
}
