import boto3

from llm import llm_call

dynamodb = boto3.resource('dynamodb')


def lambda_handler(event, context):
    table = dynamodb.Table('agent-state')
    state = table.get_item(Key={'session_id': event['session_id']}).get('Item', {'history': ''})
    response = llm_call(state['history'] + event['query'])
    table.put_item(Item={'session_id': event['session_id'], 'history': state['history'] + event['query'] + '\n' + response + '\n'})
    return response
