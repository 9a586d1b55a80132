# run: morc inspect $MODELS/ppocr/ch_PP-OCRv4_rec_infer.onnx
