/** The style sheet that the panels of lesions and of the unravelled graph share. */

import { styled } from "./dom.js";

await styled("lesions");
