// The expressions of nf_tables, one plain struct each. Whoever handles some of them includes this;
// expr.h, which holds them all in one variant, is for those who look into a rule whatever stands
// there, and what includes it is compiled anew with each new expression.
#pragma once

#include "ruleset/actions.h"
#include "ruleset/loads.h"
#include "ruleset/register_ops.h"
#include "ruleset/stateful.h"
#include "ruleset/xt.h"
