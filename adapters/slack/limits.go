package slack

// What Slack takes. Lengths are in characters, counted after escaping.
//
// Source: docs.slack.dev, reference/block-kit and reference/methods.
const (
	maxBody       = 1 << 20 // of an incoming request, far above what Slack sends
	maxBlocks     = 45      // of a message; Slack takes 50
	maxFormBlocks = 100
	maxForm       = 60_000 // of all text in a form; Slack takes 250 kB of JSON
	maxMessage    = 12_000 // of all text in one message; Slack takes about 13,200
	maxSummary    = 3_900  // of a message's text; chat.update refuses above 4,000
	maxSection    = 3_000
	maxField      = 200 // longer values get a section of their own; Slack takes 2,000
	maxFields     = 10
	maxHeader     = 150
	maxTitle      = 24
	maxLabel      = 2_000
	maxButtons    = 25 // in a row
	maxButton     = 75
	maxOption     = 75
	maxOptions    = 100
	maxInput      = 3_000  // of what a person types into one input
	maxError      = 2_000  // of the sentence at an input
	maxAck        = 20_000 // bytes of an answer over a socket; Slack drops 20,480
	maxMetadata   = 3_000

	maxConfirmTitle  = 100
	maxConfirmText   = 300
	maxConfirmButton = 30
)
