def test_a(predicted, described):
    print(predicted.exit_message, predicted.outputs.predictions.base.attributes.all)
    print(described.outputs.environment.get_dict())
