-- Radiographs that reach the archive go on to xraynet; its results come back by C-STORE and stay.
-- A film that xraynet could not take (it was down, its disk was full) waits, and is sent again on the next heartbeat
-- (Orthanc 1.11.1 and later, LuaHeartBeatPeriod) or with the next film.

local RADIOGRAPHS = { CR = true, DX = true }
local NODE = 'xraynet'

local waiting = {}

local function isForNode(tags)
   return RADIOGRAPHS[tags['Modality']] == true and tags['Manufacturer'] ~= 'xraynet'
end

local function sendWaiting()
   local jobs = waiting
   waiting = {}
   for job, _ in pairs(jobs) do
      RestApiPost('/jobs/' .. job .. '/resubmit', '', true)
   end
end

local function isLostFilm(job)
   return job ~= nil and job['Type'] == 'DicomModalityStore' and job['State'] == 'Failure'
end

-- Not SendToModality: it forgets a film that the node did not take, a job of its own tells.
local function sendFilm(instanceId)
   RestApiPost('/modalities/' .. NODE .. '/store', '{"Resources":["' .. instanceId .. '"],"Asynchronous":true}', true)
end

function OnStoredInstance(instanceId, tags, metadata, origin)
   if isForNode(tags) then
      sendWaiting()
      sendFilm(instanceId)
   end
end

function OnJobFailure(job)
   local found = RestApiGet('/jobs/' .. job, true)
   if found ~= nil and isLostFilm(ParseJson(found)) then
      waiting[job] = true
   end
end

function OnHeartBeat()
   sendWaiting()
end

-- What was waiting when the archive itself went down.
function Initialize()
   local found = RestApiGet('/jobs?expand', true)
   if found ~= nil then
      for _, job in ipairs(ParseJson(found)) do
         if isLostFilm(job) then
            waiting[job['ID']] = true
         end
      end
   end
end
