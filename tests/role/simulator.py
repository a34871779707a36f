"""moto with iam:SimulatePrincipalPolicy, which it lacks: everything else is passed on to it."""

import urllib.parse

from front import front, xml

ANSWER = """<SimulatePrincipalPolicyResponse xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><SimulatePrincipalPolicyResult>
<IsTruncated>false</IsTruncated><EvaluationResults>{members}</EvaluationResults></SimulatePrincipalPolicyResult><ResponseMetadata><RequestId>simulated</RequestId></ResponseMetadata></SimulatePrincipalPolicyResponse>"""
MEMBER = """<member><EvalActionName>{action}</EvalActionName><EvalResourceName>*</EvalResourceName><EvalDecision>{decision}</EvalDecision>
<OrganizationsDecisionDetail><AllowedByOrganizations>{organisation}</AllowedByOrganizations></OrganizationsDecisionDetail></member>"""


def simulator(moto, refused_by_organisation=()):
    """The endpoint of a moto whose simulator allows all but what the organisation refuses."""

    def member(action):
        refused = action in refused_by_organisation
        return MEMBER.format(action=action, decision="implicitDeny" if refused else "allowed", organisation=str(not refused).lower())

    def answer(request, upstream):
        asked = dict(urllib.parse.parse_qsl(request.body.decode(errors="replace")))
        if asked.get("Action") != "SimulatePrincipalPolicy":
            return upstream()
        actions = [value for name, value in asked.items() if name.startswith("ActionNames.member.")]
        return xml(200, ANSWER.format(members="".join(map(member, actions))))

    return front(moto, answer)
