// Package core is the product's rules: who may ask for what, who decides, and
// what is recorded. It knows no chat, no database, no HTTP and no clock of its
// own, and imports the standard library only.
package core
