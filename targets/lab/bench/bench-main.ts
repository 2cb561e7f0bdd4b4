/** `npm run bench`: the benches of test/bench as one built program, which also plays each of their parties. */

import './main.ts';
