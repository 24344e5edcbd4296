/** The style sheet that the panels of feature maps and of the picture share. */

import { styled } from "./dom.js";

await styled("inside");
