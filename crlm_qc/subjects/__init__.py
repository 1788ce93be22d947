"""What the rules judge: CT series, segmentation objects, masks, the workbook, made of evidence tables once for all rules."""
