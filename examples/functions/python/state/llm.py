"""One call of a model, through Mayfly's gateway: address and key are in every function's environment, and need no network."""

import json
import os
import urllib.request


def llm_call(prompt):
    request = urllib.request.Request(
        os.environ['OPENAI_BASE_URL'] + '/chat/completions',
        data=json.dumps({'model': os.environ['MODEL'], 'messages': [{'role': 'user', 'content': prompt}]}).encode(),
        headers={'Content-Type': 'application/json', 'Authorization': 'Bearer ' + os.environ['OPENAI_API_KEY']})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)['choices'][0]['message']['content']
